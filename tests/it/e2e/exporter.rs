//! What Prometheus sees.

use std::time::{Duration, Instant};

use crate::{
    e2e::demo,
    support::{Project, engine::docker, http, ran::Running, until},
};

/// Within this a scrape says what is so, whatever hangs.
const AT_ONCE: Duration = Duration::from_secs(3);

pub fn a_scrape_counts_every_link_and_shows_a_paused_broker_at_once(project: &Project) {
    let mut exporter = Running::of(project.command(&["exporter", "--listen", "127.0.0.1:0"]));
    let listening = exporter.until_it_says("listening on ");
    let (address, _) = listening.split_once(',').unwrap();
    until("every link runs", || (scrape(address) == [Some(48), Some(48), Some(0), Some(3)]).then_some(()));
    docker(&["pause", &project.container("asia", "broker")]);
    assert_eq!(scrape(address), [Some(48), Some(16), Some(16), Some(2)]);
    docker(&["unpause", &project.container("asia", "broker")]);
    exporter.signal("TERM");
    let ran = exporter.end().exits(143);
    assert!(!ran.stderr.contains("no metrics"), "{ran}");
    demo::passes_again(project);
}

/// Links that are expected, that run and that are unknown, and brokers that answer.
fn scrape(address: &str) -> [Option<usize>; 4] {
    let started = Instant::now();
    let [status, _, text] = http::get(address, "/metrics");
    assert!(started.elapsed() <= AT_ONCE, "it took {:?}", started.elapsed());
    assert_eq!(status, "HTTP/1.1 200 OK", "{text}");
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok())
    };
    let count = |name: &str, label: &str| {
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Some(lines.filter(|line| line.ends_with(" 1")).count())
    };
    [
        value("fedctl_links_expected"),
        value("fedctl_links_running"),
        count("fedctl_link_state{", r#"state="unknown""#),
        count("fedctl_broker_up{", "region="),
    ]
}
