use std::collections::BTreeMap;

use super::*;

fn settings(hosts: Option<&str>) -> Settings {
    Settings {
        region: "asia".to_owned(),
        regions: ["europe", "asia"].map(str::to_owned).to_vec(),
        master_region: "europe".to_owned(),
        amqp_uri: "amqp://broker".into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        store: "/nowhere".into(),
        instance: "compute-host-2".to_owned(),
        options: hosts
            .map(|hosts| (COMPUTE_HOSTS.to_owned(), hosts.to_owned()))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    }
}

fn host(text: &str) -> Host {
    text.parse().unwrap()
}

fn declined(header: &str) -> Declined {
    Declined::read(&header.split(',').map(str::to_owned).collect::<Vec<_>>())
}

fn shown(hosts: &[Host]) -> Vec<String> {
    hosts.iter().map(ToString::to_string).collect()
}

#[test]
fn the_known_hosts_are_those_listed_and_none_without_a_list() {
    let listed = settings(Some("europe/compute-host, asia/compute-host-1,asia/compute-host-2,"));
    let hosts = known_hosts(&listed).unwrap();
    assert_eq!(shown(&hosts), ["europe/compute-host", "asia/compute-host-1", "asia/compute-host-2"]);
    assert_eq!(hosts[1].queue(), "computing-host.asia.compute-host-1");
    assert!(known_hosts(&settings(None)).unwrap().is_empty());
}

#[test]
fn a_wrong_list_of_hosts_is_reported_by_the_name_of_its_variable() {
    for (list, what) in [
        ("compute-host", "`compute-host`"),
        ("asia/", "asia/"),
        ("/compute-host", "/compute-host"),
        ("asia/a/b", "asia/a/b"),
        ("asia/a.b", "asia/a.b"),
        ("asia/a b", "asia/a b"),
        ("mars/compute-host", "`REGIONS`"),
        ("asia/a,europe/a,asia/a", "`asia/a` twice"),
    ] {
        let error = format!("{:#}", known_hosts(&settings(Some(list))).unwrap_err());
        assert!(error.contains("`COMPUTE_HOSTS`") && error.contains(what), "{list}: {error}");
    }
}

#[test]
fn a_host_must_be_known_itself() {
    let own = host("asia/compute-host-2");
    assert_eq!(known_to(&own, &settings(None)).unwrap(), std::slice::from_ref(&own));
    assert_eq!(known_to(&own, &settings(Some("europe/a,asia/compute-host-2"))).unwrap().len(), 2);
    let error = known_to(&own, &settings(Some("europe/a"))).unwrap_err().to_string();
    assert!(error.contains("`COMPUTE_HOSTS`") && error.contains("`asia/compute-host-2`"), "{error}");
}

#[test]
fn every_host_has_a_queue_for_commands_and_every_region_one_for_answers() {
    let regions = ["europe", "asia"].map(str::to_owned);
    let declarations = declarations(&regions, &[host("europe/a"), host("asia/b")]);
    assert_eq!(
        declarations.queues,
        [
            "computing-competing",
            "computing-host.europe.a",
            "computing-host.asia.b",
            "computing-replies.europe",
            "computing-replies.asia"
        ]
    );
    let keys = |queue: &str| {
        let bound = declarations.bindings.iter().filter(|binding| binding.queue == queue);
        bound.map(|binding| binding.key.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(keys("computing-competing"), ["create-vm"]);
    assert_eq!(keys("computing-host.asia.b"), ["start-vm", "stop-vm", "delete-vm", "list-vms"]);
}

#[test]
fn each_host_is_asked_once_beginning_behind_the_one_that_declines() {
    let known = ["europe/a", "asia/b", "asia/c"].map(host);
    for first in 0..known.len() {
        let (mut asked, mut list) = (vec![&known[first]], Declined::default());
        while asked.len() < 10 {
            let own = asked[asked.len() - 1];
            list = declined(&list.to_string()).and(own, Shortage::Capacity);
            let Some(next) = list.next(own, &known) else { break };
            asked.push(next);
        }
        let expected: Vec<&Host> = known.iter().cycle().skip(first).take(known.len()).collect();
        assert_eq!(asked, expected);
    }
}

#[test]
fn a_host_that_is_alone_or_not_known_still_comes_to_an_end() {
    let (own, stranger) = (host("asia/b"), host("asia/z"));
    let declined = Declined::default().and(&own, Shortage::Image);
    assert_eq!(declined.next(&own, std::slice::from_ref(&own)), None);
    assert_eq!(declined.next(&own, &[]), None);
    let declined = Declined::default().and(&stranger, Shortage::Image);
    assert_eq!(declined.next(&stranger, std::slice::from_ref(&own)), Some(&own));
    assert_eq!(declined.and(&own, Shortage::Image).next(&stranger, std::slice::from_ref(&own)), None);
}

#[test]
fn the_verdict_names_the_image_only_when_it_is_missing_everywhere() {
    let spec = VmSpec { name: "vm".into(), image: "plan9".into(), cpus: 3 };
    let both = declined("asia/a=image, europe/b=image,not a host");
    assert_eq!(both.to_string(), "asia/a=image,europe/b=image");
    assert_eq!(both.verdict(&spec), "no host has image `plan9`");
    let mixed = both.and(&host("asia/c"), Shortage::Capacity);
    assert_eq!(mixed.verdict(&spec), "no host has capacity for 3 cpus with image `plan9`");
    let silent = declined("asia/a");
    assert_eq!(silent.to_string(), "asia/a=capacity");
}

#[test]
fn an_answer_reads_as_it_was_written() {
    let mut result = Map::new();
    for result in [
        Err("no such vm".to_owned()),
        Ok({
            result.insert("vm".into(), json!({"name": "a"}));
            result.insert("host".into(), json!("asia/b"));
            result
        }),
    ] {
        let answer = Answer { host: host("asia/b"), result };
        assert_eq!(Answer::read(&answer.json()).unwrap(), answer);
    }
    let written = Answer { host: host("asia/b"), result: Err("no such vm".into()) }.json();
    assert_eq!(
        written,
        json!({"execution-info": {"status": "error", "reason": "no such vm"}, "response": {"host": "asia/b"}})
    );
}

#[test]
fn what_is_not_an_answer_is_rejected() {
    for (wrong, what) in [
        (json!([]), "host"),
        (json!({"execution-info": {"status": "success"}, "response": {}}), "host"),
        (json!({"execution-info": {"status": "success"}, "response": {"host": "asia"}}), "asia"),
        (json!({"execution-info": {"status": "fine"}, "response": {"host": "asia/b"}}), "status"),
    ] {
        let reason = Answer::read(&wrong).unwrap_err();
        assert!(reason.contains(what), "{wrong}: {reason}");
    }
}
