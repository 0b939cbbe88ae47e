//! Whose the objects on a broker are. A project changes and removes what it has recorded as its own; what nobody has
//! recorded it takes over on demand, and what another project has recorded never.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Cause, Change, Plan, blocked};
use crate::{
    definition::differences,
    desired::{Broker, Desired},
    diagnostic::Place,
    observed::{Definitions, Owned},
};

/// What several projects may have under the same name on one broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Upstream,
    Policy,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::User, Kind::Upstream, Kind::Policy];

    fn names(self, owned: &Owned) -> &BTreeSet<String> {
        match self {
            Kind::User => &owned.users,
            Kind::Upstream => &owned.upstreams,
            Kind::Policy => &owned.policies,
        }
    }

    fn names_mut(self, owned: &mut Owned) -> &mut BTreeSet<String> {
        match self {
            Kind::User => &mut owned.users,
            Kind::Upstream => &mut owned.upstreams,
            Kind::Policy => &mut owned.policies,
        }
    }

    fn exists(self, held: &Definitions, name: &str) -> bool {
        match self {
            Kind::User => held.users.contains_key(name),
            Kind::Upstream => held.upstreams.contains_key(name),
            Kind::Policy => held.policies.contains_key(name),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Upstream => "upstream",
            Kind::Policy => "policy",
        }
    }

    fn place(self, broker: &Broker, name: &str) -> Place {
        let (region, name) = (broker.region.clone(), name.to_owned());
        match self {
            Kind::User => Place::User { region, name },
            Kind::Upstream => Place::Upstream { region, name },
            Kind::Policy => Place::Policy { region, name },
        }
    }
}

/// The owners of what a broker holds.
pub(super) struct Owners<'a> {
    broker: &'a Broker,
    held: Option<&'a Definitions>,
    project: &'a str,
    adopt: bool,
}

impl<'a> Owners<'a> {
    pub fn of(desired: &'a Desired, broker: &'a Broker, held: Option<&'a Definitions>) -> Self {
        Self { broker, held, project: &desired.project, adopt: desired.adopt }
    }

    fn recorded(&self) -> Option<&'a Owned> {
        self.held.and_then(|held| held.owned.as_ref())
    }

    fn is_recorded(&self, kind: Kind, name: &str) -> bool {
        self.recorded().is_some_and(|owned| kind.names(owned).contains(name))
    }

    fn exists(&self, kind: Kind, name: &str) -> bool {
        self.held.is_some_and(|held| kind.exists(held, name))
    }

    /// Those that other projects recorded in this virtual host, and what. Users are the same in all of them.
    fn others(&self, kind: Kind) -> impl Iterator<Item = (&'a str, &'a BTreeSet<String>)> {
        let vhost = self.broker.vhost.as_str();
        let records = self.held.into_iter().flat_map(|held| &held.others);
        let here = records.filter(move |(_, owned)| kind == Kind::User || owned.is_of(vhost));
        here.map(move |(project, owned)| (project.as_str(), kind.names(owned)))
    }

    /// The other project that recorded it.
    pub fn other(&self, kind: Kind, name: &str) -> Option<&'a str> {
        let found = self.others(kind).find(|(_, names)| names.contains(name));
        found.map(|(project, _)| project)
    }

    /// Whether it is there, and fedctl's to take over or to leave alone.
    fn is_foreign(&self, kind: Kind, name: &str) -> bool {
        self.exists(kind, name) && !self.is_recorded(kind, name)
    }

    /// The cause of a change of an object that has to be what the topology says. Blocks the plan if it is not this
    /// project's to change.
    pub fn judged(
        &self,
        plan: &mut Plan,
        (kind, name): (Kind, &str),
        cause: Option<Cause>,
        differing: impl FnOnce() -> Vec<String>,
    ) -> Option<Cause> {
        if !self.exists(kind, name) {
            return cause;
        }
        let is_foreign = self.is_foreign(kind, name);
        if let Some(project) = self.other(kind, name).filter(|_| is_foreign || cause.is_some()) {
            plan.blocked.push(blocked::others_definition(kind.place(self.broker, name), project));
            return cause;
        }
        let cause = cause?;
        if !is_foreign {
            return Some(cause);
        }
        let differing = differing().join(", ");
        if self.adopt {
            return Some(Cause::Adopted(differing));
        }
        plan.blocked.push(blocked::foreign_definition(kind.place(self.broker, name), &differing));
        Some(cause)
    }

    /// What the project has on this broker when the plan is carried out. What is there and equal, and nobody's in
    /// particular, is its own only if it is taken over, or if fedctl started the broker.
    fn wanted(&self) -> Owned {
        let broker = self.broker;
        let mut owned = Owned {
            users: broker.users.keys().cloned().collect(),
            upstreams: broker.upstreams.keys().cloned().collect(),
            policies: broker.policies.keys().cloned().collect(),
            downstreams: broker.downstreams.keys().cloned().collect(),
            paused: self.paused(),
            vhost: broker.container.is_none().then(|| broker.vhost.clone()),
        };
        if broker.container.is_none() && !self.adopt {
            for kind in Kind::ALL {
                kind.names_mut(&mut owned).retain(|name| !self.is_foreign(kind, name));
            }
        }
        owned
    }

    /// The upstreams of the topology whose links were paused.
    pub fn paused(&self) -> BTreeSet<String> {
        let recorded = self.recorded().into_iter().flat_map(|owned| &owned.paused);
        recorded.filter(|name| self.broker.upstreams.contains_key(*name)).cloned().collect()
    }

    /// Records what the project is about to make or take over, before it does: what a plan that is cut short has made is
    /// known for its own.
    pub fn claim(&self, plan: &mut Plan, after: Option<usize>) -> Option<usize> {
        let wanted = self.wanted();
        let claimed = match self.recorded() {
            None => wanted,
            Some(found) => {
                let mut all = Owned { vhost: wanted.vhost.clone(), ..found.clone() };
                all.downstreams.extend(wanted.downstreams.iter().cloned());
                for kind in Kind::ALL {
                    kind.names_mut(&mut all).extend(kind.names(&wanted).iter().cloned());
                }
                all
            }
        };
        if self.recorded() == Some(&claimed) {
            return None;
        }
        let adopted = self.adopted(&claimed);
        let cause = match (self.recorded(), adopted.is_empty()) {
            (_, false) => Cause::Adopts(adopted),
            (None, true) => Cause::NotFound,
            (Some(_), true) => Cause::Follows,
        };
        Some(self.record(plan, claimed, cause, after))
    }

    /// What is there, and this record takes over.
    fn adopted(&self, claimed: &Owned) -> Vec<String> {
        let all = Kind::ALL.into_iter().flat_map(|kind| {
            let foreign = kind.names(claimed).iter().filter(move |name| self.is_foreign(kind, name));
            foreign.map(move |name| format!("{} {name}", kind.word()))
        });
        if self.adopt { all.collect() } else { Vec::new() }
    }

    /// Records what the project has in the end, with the downstreams of queues that stay.
    pub fn settle(
        &self,
        plan: &mut Plan,
        claimed: Option<usize>,
        kept: BTreeSet<String>,
        after: impl IntoIterator<Item = usize>,
    ) {
        let mut wanted = self.wanted();
        wanted.downstreams.extend(kept);
        let recorded = match claimed.map(|step| &plan.steps[step].step) {
            Some(super::Step::Broker { change: Change::RecordOwnership { owned, .. }, .. }) => Some(owned),
            Some(super::Step::Broker { .. } | super::Step::Engine(_)) | None => self.recorded(),
        };
        if recorded != Some(&wanted) {
            self.record(plan, wanted, Cause::Follows, after.into_iter().chain(claimed));
        }
    }

    fn record(
        &self,
        plan: &mut Plan,
        owned: Owned,
        cause: Cause,
        after: impl IntoIterator<Item = usize>,
    ) -> usize {
        let parameter = self.broker.parameter.clone();
        plan.push(Change::RecordOwnership { parameter, owned }.at(&self.broker.region), cause, after)
    }

    /// What keeps this project and another from not noticing each other.
    pub fn conflicts(&self, plan: &mut Plan) {
        let place = || Place::Broker { region: self.broker.region.clone() };
        let vhost = self.broker.vhost.as_str();
        if let Some(other) = self.recorded().and_then(|owned| owned.vhost.as_deref())
            && other != vhost
        {
            let parameter = &self.broker.parameter;
            plan.blocked.push(blocked::other_vhost(place(), parameter, self.project, [other, vhost]));
        }
        let here = |(_, owned): &&(String, Owned)| owned.vhost.as_deref() == Some(vhost);
        for (project, Owned { upstreams, .. }) in
            self.held.into_iter().flat_map(|held| &held.others).filter(here)
        {
            let is_theirs = |name: &&String| {
                self.exists(Kind::Upstream, name) && !self.broker.upstreams.contains_key(*name)
            };
            if let Some(upstream) = upstreams.iter().find(is_theirs) {
                plan.blocked.push(blocked::shared_vhost(place(), vhost, project, upstream));
            }
        }
    }
}

/// Every difference between two definitions, as it is told.
pub(super) fn told(wanted: &Map<String, Value>, found: &Map<String, Value>) -> impl Iterator<Item = String> {
    differences(wanted, found).into_iter().map(|difference| difference.to_string())
}
