//! Names of the probe's own that a policy's pattern matches.

use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

use crate::{federation::is_internal, pattern::Pattern, topology::RegionName};

/// What may stand between the parts of a mark, in order of preference.
const SEPARATORS: [char; 3] = ['.', '_', '-'];
/// The longest name that leaves room for the link's internal queue, which RabbitMQ limits to 255 bytes.
const LONGEST: usize = 160;
/// How many texts of a pattern are tried.
const TRIED: usize = 64;
/// What is taken of a class of characters, if it has one of these.
const PREFERRED: &[u8] = b"a.-_A0";

/// By which a probe knows what is its own: letters, since a pattern may allow nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce {
    mark: String,
    letters: String,
}

impl Nonce {
    /// Eight letters of a random number.
    #[must_use]
    pub fn new(random: u32) -> Self {
        let letter = |shift: u32| char::from(b'a' + ((random >> shift) & 0xF) as u8);
        let letters: String = (0..8).map(|place| letter(place * 4)).collect();
        Self { mark: mark(SEPARATORS[0], &letters), letters }
    }

    /// The beginning of every name, where the pattern allows it.
    #[must_use]
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// A pattern that matches the names that are this probe's.
    #[must_use]
    pub fn pattern(&self) -> String {
        let any: String = SEPARATORS.iter().collect();
        format!("fedctl[{any}]probe[{any}]{}", self.letters)
    }

    /// Whether an exchange, queue or policy is this probe's, or the internal one of its link.
    #[must_use]
    pub fn owns(&self, name: &str) -> bool {
        SEPARATORS.iter().any(|separator| name.contains(&mark(*separator, &self.letters)))
    }

    /// The name of an exchange that a pattern matches, if there is one.
    pub(super) fn exchange(&self, pattern: &str) -> Option<String> {
        SEPARATORS.iter().find_map(|separator| matching(pattern, &mark(*separator, &self.letters)))
    }

    /// The name of the queue that a region consumes, likewise.
    pub(super) fn queue(&self, pattern: &str, downstream: &RegionName) -> Option<String> {
        SEPARATORS.iter().find_map(|separator| {
            let own = format!("{}{separator}{downstream}", mark(*separator, &self.letters));
            matching(pattern, &own)
        })
    }
}

/// Whether an exchange or queue is a probe's, or the internal one of its link.
#[must_use]
pub fn is_probe(name: &str) -> bool {
    SEPARATORS.iter().any(|separator| name.contains(&mark(*separator, "")))
}

/// Whether a policy is that of a probe that has none of these exchanges and queues, any more or yet.
#[must_use]
pub fn is_stale(policy: &str, names: &[&str]) -> bool {
    let letters = policy.strip_prefix(&mark(SEPARATORS[0], ""));
    letters.is_some_and(|letters| !names.iter().any(|name| is_probe(name) && name.contains(letters)))
}

fn mark(separator: char, letters: &str) -> String {
    format!("fedctl{separator}probe{separator}{letters}")
}

/// A name with `mark` in it that a pattern matches.
fn matching(pattern: &str, mark: &str) -> Option<String> {
    let compiled = Pattern::new(pattern).ok()?;
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()?;
    let names = texts(&parsed, mark).into_iter().flat_map(|text| {
        if text.contains(mark) { vec![text] } else { vec![format!("{mark}{text}"), format!("{text}{mark}")] }
    });
    let is_allowed = |name: &String| {
        name.len() <= LONGEST && !is_internal(name) && !name.starts_with("amq.") && compiled.matches(name)
    };
    names.filter(|name| !name.contains(char::REPLACEMENT_CHARACTER)).find(is_allowed)
}

/// Some texts that an expression accepts, with the mark in one place or none where anything may be repeated. Not all of
/// them need fit: whoever uses one has it matched.
fn texts(expression: &Hir, mark: &str) -> Vec<String> {
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8_lossy(&literal.0).into_owned()],
        HirKind::Class(class) => one_of(class).into_iter().map(String::from).collect(),
        HirKind::Capture(capture) => texts(&capture.sub, mark),
        HirKind::Repetition(repetition) => {
            let times = usize::try_from(repetition.min).unwrap_or(usize::MAX).min(LONGEST);
            let least = texts(&repetition.sub, mark).into_iter().map(|text| text.repeat(times)).take(1);
            let anything = repetition.max.is_none().then(|| mark.to_owned());
            anything.into_iter().chain(least).collect()
        }
        HirKind::Alternation(ways) => ways.iter().flat_map(|way| texts(way, mark)).take(TRIED).collect(),
        HirKind::Concat(parts) => parts.iter().fold(vec![String::new()], |begun, part| {
            let rest = texts(part, mark);
            let joined = begun.iter().flat_map(|begin| {
                let rest = rest.iter().filter(|rest| !(begin.contains(mark) && rest.contains(mark)));
                rest.map(move |rest| format!("{begin}{rest}"))
            });
            joined.take(TRIED).collect()
        }),
    }
}

/// A character of a class.
fn one_of(class: &Class) -> Option<char> {
    let ranges: Vec<(u8, u8)> = match class {
        Class::Bytes(class) => class.ranges().iter().map(|range| (range.start(), range.end())).collect(),
        Class::Unicode(class) => {
            let ranges = class.ranges().iter();
            let ascii = ranges.filter_map(|range| {
                Some((u8::try_from(range.start()).ok()?, u8::try_from(range.end()).unwrap_or(u8::MAX)))
            });
            ascii.collect()
        }
    };
    let has = |byte: u8| ranges.iter().any(|(first, last)| (*first..=*last).contains(&byte));
    let printable = PREFERRED.iter().copied().chain(b'!'..=b'~');
    printable.into_iter().find(|byte| has(*byte)).map(char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce() -> Nonce {
        Nonce::new(0x7654_3210)
    }

    #[track_caller]
    fn check(pattern: &str, expected: Option<&str>) {
        assert_eq!(nonce().exchange(pattern).as_deref(), expected, "{pattern}");
    }

    #[test]
    fn a_name_is_made_that_the_pattern_matches() {
        for (pattern, expected) in [
            (r"\.events$", "fedctl.probe.abcdefgh.events"),
            (r"^fed\.", "fed.fedctl.probe.abcdefgh"),
            (".*", "fedctl.probe.abcdefgh"),
            ("", "fedctl.probe.abcdefgh"),
            (r"^orders\..*\.events$", "orders.fedctl.probe.abcdefgh.events"),
            (r"^(orders|payments)\.[a-z.]+$", "orders.fedctl.probe.abcdefgh"),
            (r"^[^._]+$", "fedctl-probe-abcdefgh"),
            (r"^[a-z_]+\.(in|out)$", "fedctl_probe_abcdefgh.in"),
            (r"^(amq\.topic|orders\..+)$", "orders.fedctl.probe.abcdefgh"),
            (r"^x{3}\.(?:a|b)\d.", "xxx.a0afedctl.probe.abcdefgh"),
        ] {
            check(pattern, Some(expected));
        }
    }

    #[test]
    fn a_pattern_that_allows_no_other_name_has_none() {
        for pattern in
            ["^orders$", r"^orders\.[0-9]+$", "^(a|b)$", "^federation: .*", "^amq\\..*", "^.{1,9}$", "("]
        {
            check(pattern, None);
        }
    }

    #[test]
    fn every_region_that_consumes_has_a_queue_of_its_own() {
        let queue = |region| nonce().queue(r"^fed\.", &RegionName::new(region)).unwrap();
        assert_eq!(queue("asia"), "fed.fedctl.probe.abcdefgh.asia");
        assert_ne!(queue("asia"), queue("europe"));
    }

    #[test]
    fn a_probe_knows_its_own_and_another_probes() {
        let (own, other) = (nonce(), Nonce::new(1));
        for pattern in [r"\.events$", "^[^._]+$", "^[a-z_]+$"] {
            let name = own.exchange(pattern).unwrap();
            let internal = format!("federation: {name} -> asia A");
            for name in [name, internal] {
                assert!(own.owns(&name) && !other.owns(&name) && is_probe(&name), "{name}");
                let matches = |nonce: &Nonce| Pattern::new(&nonce.pattern()).unwrap().matches(&name);
                assert!(matches(&own) && !matches(&other), "{name}");
                assert!(!is_stale(own.mark(), &["orders", &name]) && is_stale(other.mark(), &[&name]));
            }
        }
        assert!(!is_stale("events", &[]), "it is not a probe's");
        assert!(!is_probe("orders.events") && !is_probe("federation: orders.events -> asia"));
    }
}
