//! Between which regions there are links, and by which of them a message of an exchange reaches each region.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Pair, RegionName, Shape, Topology};

/// More steps than this are not taken from one region: with as many paths messages arrive more than once by far.
const MOST_STEPS: usize = 10_000;
/// How many paths are told of one another.
const TOLD: usize = 2;

/// How often a message of an exchange that is published in one region reaches another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    /// Where it is published.
    pub origin: RegionName,
    /// Where it arrives.
    pub region: RegionName,
    /// How often it arrives.
    pub count: usize,
}

/// The regions that one is linked to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Where its messages come from.
    pub upstreams: Vec<RegionName>,
    /// Where they go.
    pub downstreams: Vec<RegionName>,
}

impl Topology {
    /// The neighbours of every region, in the order of the file.
    #[must_use]
    pub fn neighbours(&self) -> BTreeMap<RegionName, Neighbours> {
        let regions = self.regions.iter().map(|region| (region.name.clone(), Neighbours::default()));
        let mut neighbours: BTreeMap<RegionName, Neighbours> = regions.collect();
        for Pair { upstream, downstream } in self.pairs() {
            neighbours.entry(upstream.clone()).or_default().downstreams.push(downstream.clone());
            neighbours.entry(downstream).or_default().upstreams.push(upstream);
        }
        neighbours
    }

    /// Every upstream → downstream pair, in the order of the file.
    #[must_use]
    pub fn pairs(&self) -> Vec<Pair> {
        let name = |place: usize| self.regions[place].name.clone();
        let linked = self.linked().into_iter();
        linked
            .map(|(downstream, upstream)| Pair { upstream: name(upstream), downstream: name(downstream) })
            .collect()
    }

    /// The same as downstream and upstream, by their places in the file.
    fn linked(&self) -> BTreeSet<(usize, usize)> {
        let mut linked: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut link = |upstream: usize, downstream: usize, both: bool| {
            if upstream != downstream {
                linked.insert((downstream, upstream));
                linked.extend(both.then_some((upstream, downstream)));
            }
        };
        let federation = &self.federation;
        let (count, both) = (self.regions.len(), !federation.one_way);
        let places: BTreeMap<&RegionName, usize> =
            self.regions.iter().enumerate().map(|(place, region)| (&region.name, place)).collect();
        match federation.shape {
            Shape::FullMesh => (0..count).for_each(|one| (0..one).for_each(|other| link(other, one, true))),
            Shape::Ring => (0..count).for_each(|place| link(place, (place + 1) % count, both)),
            Shape::Line => (1..count).for_each(|place| link(place - 1, place, both)),
            Shape::HubAndSpoke => {
                let hub = federation.hub.as_ref().and_then(|hub| places.get(hub));
                if let Some(hub) = hub {
                    (0..count).for_each(|spoke| link(*hub, spoke, both));
                }
            }
            Shape::Pairs => {
                for Pair { upstream, downstream } in &federation.pairs {
                    if let (Some(upstream), Some(downstream)) = (places.get(upstream), places.get(downstream))
                    {
                        link(*upstream, *downstream, false);
                    }
                }
            }
        }
        linked
    }

    /// How many links a message may cross: as the file says, or as many as it takes to reach every region that it can.
    #[must_use]
    pub fn max_hops(&self) -> u32 {
        let set = self.federation.upstream.max_hops;
        set.unwrap_or_else(|| u32::try_from(self.farthest().max(1)).unwrap_or(u32::MAX))
    }

    /// The most links on the shortest way between two regions.
    pub(super) fn farthest(&self) -> usize {
        let next = self.downstreams();
        let farthest = |origin: usize| {
            let mut distance = vec![None; next.len()];
            distance[origin] = Some(0);
            let mut waiting = VecDeque::from([(origin, 0)]);
            let (mut farthest, mut known) = (0, 1);
            while let Some((region, so_far)) = waiting.pop_front().filter(|_| known < next.len()) {
                for other in &next[region] {
                    if distance[*other].is_none() {
                        distance[*other] = Some(so_far + 1);
                        farthest = so_far + 1;
                        known += 1;
                        waiting.push_back((*other, farthest));
                    }
                }
            }
            farthest
        };
        (0..next.len()).map(farthest).max().unwrap_or_default()
    }

    /// How often messages reach other regions: once by every path of no more links than they may cross that visits no
    /// region twice (RabbitMQ, `rabbit_federation_util:should_forward/4`). Where there are very many, not all are counted.
    #[must_use]
    pub fn copies(&self) -> Vec<Copies> {
        let name = |place: usize| self.regions[place].name.clone();
        let (next, hops) = (self.downstreams(), self.hops());
        let mut copies = Vec::new();
        for origin in 0..self.regions.len() {
            let mut counts = vec![0; self.regions.len()];
            let mut count = |path: &[usize]| path.last().into_iter().for_each(|last| counts[*last] += 1);
            Walk::from(origin, &next).on(hops, &mut count);
            let reached = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            let copy = |(region, count): (usize, &usize)| Copies {
                origin: name(origin),
                region: name(region),
                count: *count,
            };
            copies.extend(reached.map(copy));
        }
        copies
    }

    /// The first paths by which a message reaches a region, with both ends.
    #[must_use]
    pub fn paths(&self, origin: &RegionName, region: &RegionName) -> Vec<Vec<RegionName>> {
        let place = |wanted: &RegionName| self.regions.iter().position(|region| region.name == *wanted);
        let (Some(origin), Some(region)) = (place(origin), place(region)) else { return Vec::new() };
        let mut paths: Vec<Vec<RegionName>> = Vec::new();
        Walk::from(origin, &self.downstreams()).on(self.hops(), &mut |path| {
            if path.last() == Some(&region) && paths.len() < TOLD {
                paths.push(path.iter().map(|place| self.regions[*place].name.clone()).collect());
            }
        });
        paths
    }

    /// The links that messages of an exchange cross on any path from one region to another.
    #[must_use]
    pub fn route(&self, origin: &RegionName, region: &RegionName) -> BTreeSet<Pair> {
        let name = |place: usize| self.regions[place].name.clone();
        let place = |wanted: &RegionName| self.regions.iter().position(|region| region.name == *wanted);
        let (Some(origin), Some(region)) = (place(origin), place(region)) else { return BTreeSet::new() };
        let mut crossed: BTreeSet<(usize, usize)> = BTreeSet::new();
        Walk::from(origin, &self.downstreams()).on(self.hops(), &mut |path| {
            if path.last() == Some(&region) {
                crossed.extend(path.windows(2).map(|ends| (ends[0], ends[1])));
            }
        });
        let pair = |(upstream, downstream)| Pair { upstream: name(upstream), downstream: name(downstream) };
        crossed.into_iter().map(pair).collect()
    }

    fn hops(&self) -> usize {
        usize::try_from(self.max_hops()).unwrap_or(usize::MAX)
    }

    /// The downstreams of each region, by their places in the file.
    fn downstreams(&self) -> Vec<Vec<usize>> {
        let mut next = vec![Vec::new(); self.regions.len()];
        for (downstream, upstream) in self.linked() {
            next[upstream].push(downstream);
        }
        next
    }
}

/// A way through the regions.
struct Walk<'a> {
    next: &'a [Vec<usize>],
    passed: Vec<bool>,
    path: Vec<usize>,
    left: usize,
}

impl<'a> Walk<'a> {
    fn from(origin: usize, next: &'a [Vec<usize>]) -> Self {
        let mut passed = vec![false; next.len()];
        passed[origin] = true;
        Self { next, passed, path: vec![origin], left: MOST_STEPS }
    }

    /// Goes on from where it is, over at most `hops` links, and visits every path.
    fn on(&mut self, hops: usize, visit: &mut impl FnMut(&[usize])) {
        let Some(last) = self.path.last().filter(|_| hops > 0) else { return };
        for region in &self.next[*last] {
            if self.left == 0 || self.passed[*region] {
                continue;
            }
            self.left -= 1;
            self.path.push(*region);
            self.passed[*region] = true;
            visit(&self.path);
            self.on(hops - 1, visit);
            self.passed[*region] = false;
            self.path.pop();
        }
    }
}
