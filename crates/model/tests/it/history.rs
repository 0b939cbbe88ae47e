//! What earlier looks add to a status: since when, how fast, and what was before.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use fedctl_model::{
    observed::{Federated, Resource},
    site::Unavailable,
    status::{Condition, History, LastKnown, LinkRef, LinkState, LinkStatus, Reason, Trend},
    topology::RegionName,
};

const DOWN: Condition = Condition::Failing(Reason::ConnectionRefused);
const UNKNOWN: Condition = Condition::Unknown(Unavailable::Paused);

/// The time so many seconds after the first look.
fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000) + SignedDuration::from_secs(seconds)
}

/// A link of whose state the broker gives no age.
fn link(condition: Condition) -> LinkStatus {
    let [upstream, downstream] = ["europe", "asia"].map(RegionName::new);
    LinkStatus {
        link: LinkRef { upstream, downstream, resource: Resource::Exchange("orders.events".into()) },
        condition,
        activity: None,
        age_seconds: None,
        last_known: None,
        waiting: None,
        growth: None,
        lag_seconds: None,
    }
}

fn waiting(messages: u64) -> LinkStatus {
    LinkStatus { waiting: Some(messages), ..link(Condition::Running) }
}

/// The link as it is after this look.
fn look(history: &mut History, link: LinkStatus, seconds: i64) -> LinkStatus {
    let mut links = [link];
    history.look(&mut links, at(seconds));
    let [link] = links;
    link
}

/// The ages that a state has where these looks found it and the broker gives none.
fn ages(looks: &[(i64, Condition)]) -> Vec<Option<u64>> {
    let mut history = History::of("shop");
    looks
        .iter()
        .map(|(seconds, state)| look(&mut history, link(state.clone()), *seconds).age_seconds)
        .collect()
}

/// The growth that each of these looks finds.
fn growth(looks: &[(i64, u64)]) -> Vec<Option<f64>> {
    let mut history = History::of("shop");
    looks.iter().map(|(seconds, messages)| look(&mut history, waiting(*messages), *seconds).growth).collect()
}

#[test]
fn what_was_declared_since_up_is_expected_of_a_region_that_is_silent_now() {
    let mut history = History::of("shop");
    look(&mut history, link(Condition::Running), 0);
    let events = Resource::Exchange("orders.events".into());
    let expected = |silent: &str| history.expected(&Federated::new(), |region| region.as_str() == silent);
    assert_eq!(expected("asia"), [(RegionName::new("asia"), [events].into())].into());
    assert_eq!(expected("europe"), [].into(), "a region that answers tells what it has");
    look(&mut history, link(Condition::Failing(Reason::NotInTopology)), 1);
    assert_eq!(history.expected(&Federated::new(), |_| true), [].into());
}

#[test]
fn a_state_is_as_old_as_the_first_look_that_saw_it() {
    assert_eq!(ages(&[(0, DOWN)]), [None], "nothing is known before the first look");
    assert_eq!(ages(&[(0, DOWN), (10, DOWN), (42, DOWN)]), [None, Some(10), Some(42)]);
    let timed_out = Condition::Failing(Reason::TimedOut);
    assert_eq!(ages(&[(0, DOWN), (10, timed_out)]), [None, Some(10)], "it is down for another reason");
    let changed = [(0, Condition::Running), (10, UNKNOWN), (30, UNKNOWN), (40, DOWN), (41, DOWN)];
    assert_eq!(ages(&changed), [None, Some(0), Some(20), Some(0), Some(1)]);
}

#[test]
fn an_age_that_the_broker_gives_is_believed_and_continued() {
    let mut history = History::of("shop");
    let running = |age_seconds| LinkStatus { age_seconds, ..link(Condition::Running) };
    assert_eq!(look(&mut history, running(Some(90)), 0).age_seconds, Some(90));
    assert_eq!(look(&mut history, running(None), 10).age_seconds, Some(100));
    assert_eq!(look(&mut history, running(Some(3)), 20).age_seconds, Some(3));
}

#[test]
fn a_link_that_is_down_and_tries_again_has_been_down_all_the_while() {
    let mut history = History::of("shop");
    look(&mut history, link(Condition::Running), 0);
    look(&mut history, link(DOWN), 10);
    let tries = LinkStatus { age_seconds: Some(1), ..link(Condition::Connecting) };
    let tries = look(&mut history, tries, 20);
    assert_eq!((tries.state(), tries.age_seconds), (LinkState::Starting, Some(1)));
    assert_eq!(look(&mut history, link(DOWN), 30).age_seconds, Some(20));
    look(&mut history, link(Condition::Running), 40);
    assert_eq!(look(&mut history, link(Condition::Connecting), 50).age_seconds, Some(0));
}

#[test]
fn an_unknown_link_has_the_state_that_it_had_when_it_was_last_known() {
    let mut history = History::of("shop");
    let known = |state, age_seconds| Some(LastKnown { state, age_seconds });
    assert_eq!(look(&mut history, link(UNKNOWN), 0).last_known, None, "it never was known");
    assert_eq!(look(&mut history, link(DOWN), 5).last_known, None, "it is known");
    look(&mut history, link(Condition::Running), 10);
    let unknown = look(&mut history, link(UNKNOWN), 12);
    assert_eq!((unknown.age_seconds, unknown.last_known), (Some(0), known(LinkState::Running, 2)));
    let unknown = look(&mut history, link(UNKNOWN), 52);
    assert_eq!((unknown.age_seconds, unknown.last_known), (Some(40), known(LinkState::Running, 42)));
}

#[test]
fn growth_is_measured_between_looks_that_are_neither_too_close_nor_too_far_apart() {
    assert_eq!(
        growth(&[(0, 100), (10, 450), (20, 450), (30, 100)]),
        [None, Some(35.0), Some(0.0), Some(-35.0)]
    );
    assert_eq!(growth(&[(0, 100), (4, 500), (5, 500)]), [None, None, Some(80.0)]);
    assert_eq!(growth(&[(0, 0), (300, 30), (601, 90)]), [None, Some(0.1), None]);
    assert_eq!(growth(&[(0, 0), (3, 1), (9, 1)]), [None, None, Some(0.1)], "rounded to a tenth");
    assert_eq!(growth(&[(10, 0), (0, 50), (10, 60)]), [None, None, Some(1.0)], "a clock was set back");
    assert_eq!(growth(&[(0, 0), (10, u64::MAX)]), [None, None], "no broker has so many");
}

#[test]
fn looks_every_second_measure_over_five_to_ten() {
    // the broker counts every five seconds
    let looks: Vec<(i64, u64)> =
        (0..60_i64).map(|second| (second, second.cast_unsigned() / 5 * 500)).collect();
    let found = growth(&looks);
    assert_eq!(found[..5], [None; 5]);
    for growth in found[5..].iter().copied() {
        assert!((50.0..=100.0).contains(&growth.unwrap()), "{found:?}");
    }
}

#[test]
fn growth_outlasts_a_look_that_could_not_count() {
    let mut history = History::of("shop");
    look(&mut history, waiting(10), 0);
    assert_eq!(look(&mut history, link(UNKNOWN), 5).growth, None);
    assert_eq!(look(&mut history, waiting(30), 10).growth, Some(2.0));
}

/// The lag that each of these looks finds.
fn lags(looks: &[(i64, u64)]) -> Vec<Option<u64>> {
    let mut history = History::of("shop");
    let found =
        looks.iter().map(|(time, messages)| look(&mut history, waiting(*messages), *time).lag_seconds);
    found.collect()
}

#[test]
fn a_backlog_lags_since_a_look_last_found_fewer_messages_or_none() {
    assert_eq!(lags(&[(0, 5), (10, 5), (20, 5)]), [None, Some(10), Some(20)], "nothing is known before");
    assert_eq!(lags(&[(0, 0), (10, 5), (20, 9), (30, 9)]), [Some(0), Some(10), Some(20), Some(30)]);
    assert_eq!(
        lags(&[(0, 9), (10, 8), (20, 20), (30, 19)]),
        [None, Some(0), Some(10), Some(0)],
        "it shrinks"
    );
    assert_eq!(lags(&[(0, 9), (1, 9), (2, 9)]), [None, Some(1), Some(2)], "however soon one looks again");
}

#[test]
fn where_no_look_was_recent_enough_a_lag_is_unknown() {
    let minutes = |minutes: i64| minutes * 60;
    let rare = [(0, 5), (minutes(15), 5), (minutes(31), 5), (minutes(36), 5)];
    assert_eq!(lags(&rare), [None, Some(900), None, Some(300)]);
    assert_eq!(lags(&[(100, 5), (40, 5), (50, 5)]), [None, None, Some(10)], "a clock was set back");
    let mut history = History::of("shop");
    look(&mut history, waiting(5), 0);
    assert_eq!(look(&mut history, link(UNKNOWN), 10).lag_seconds, None, "nobody counts");
    assert_eq!(look(&mut history, waiting(5), 20).lag_seconds, Some(20));
}

#[test]
fn what_an_older_version_kept_is_read_too() {
    let mut history = History::of("shop");
    look(&mut history, waiting(3), 0);
    let mut kept = serde_json::to_value(&history).unwrap();
    kept["links"][0].as_object_mut().unwrap().remove("progress").unwrap();
    let mut older = History::read(&kept.to_string(), "shop");
    let found = look(&mut older, waiting(3), 10);
    assert_eq!((found.growth, found.lag_seconds), (Some(0.0), None));
}

#[test]
fn a_trend_is_the_sign_of_a_growth() {
    let trends = [0.1, 0.0, -0.1].map(Trend::of);
    assert_eq!(trends, [Trend::Growing, Trend::Steady, Trend::Shrinking]);
}

#[test]
fn a_link_that_was_gone_is_new_and_one_that_was_not_looked_at_is_not() {
    let mut history = History::of("shop");
    look(&mut history, link(DOWN), 0);
    history.look_at_some(&mut [], at(10));
    assert_eq!(look(&mut history, link(DOWN), 20).age_seconds, Some(20));
    history.look(&mut [], at(30));
    assert_eq!(look(&mut history, link(DOWN), 40).age_seconds, None);
}

#[test]
fn a_clock_that_was_set_back_makes_no_age() {
    assert_eq!(ages(&[(100, DOWN), (40, DOWN)]), [None, Some(0)]);
}

#[test]
fn what_is_kept_is_read_again_and_nothing_else() {
    let mut history = History::of("shop");
    look(&mut history, LinkStatus { waiting: Some(3), ..link(Condition::Running) }, 0);
    look(&mut history, link(UNKNOWN), 7);
    let kept = serde_json::to_string(&history).unwrap();
    assert_eq!(History::read(&kept, "shop"), history);
    for text in
        ["", "{", "[]", "{}", &kept[..kept.len() - 9], &kept.replace(r#""version":1"#, r#""version":0"#)]
    {
        assert_eq!(History::read(text, "shop"), History::of("shop"), "{text}");
    }
    assert_eq!(History::read(&kept, "inn"), History::of("inn"), "another project's");
}

proptest! {
    #[test]
    fn whatever_looks_see_no_age_is_older_than_the_first_of_them(
        looks in prop::collection::vec((0_i64..1000, 0_u8..3, prop::option::of(0_u64..1_000_000)), 1..20),
    ) {
        let mut history = History::of("shop");
        let mut now = 0;
        let first = looks[0].0;
        for (pause, state, messages) in looks {
            now += pause;
            let condition = [Condition::Running, DOWN, UNKNOWN][usize::from(state)].clone();
            let found = look(&mut history, LinkStatus { waiting: messages, ..link(condition) }, now);
            let passed = (now - first).cast_unsigned();
            prop_assert!(found.age_seconds.is_none_or(|age| age <= passed));
            prop_assert!(found.lag_seconds.is_none_or(|lag| lag <= passed && messages.is_some()));
            prop_assert!(found.last_known.is_none_or(|known| known.age_seconds <= passed));
            prop_assert_eq!(found.last_known.is_some() && found.state() != LinkState::Unknown, false);
            let kept = serde_json::to_string(&history).unwrap();
            prop_assert_eq!(History::read(&kept, "shop"), history.clone());
        }
    }
}
