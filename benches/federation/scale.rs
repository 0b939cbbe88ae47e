//! Hundreds of regions, as virtual hosts of three brokers, compared with a plain client that sends the same requests.

use std::{
    collections::BTreeMap,
    fmt::Write,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use fedctl_model::{
    names::{BROKER, container},
    site::ADMINISTRATOR,
    topology::RegionName,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    container::Engine,
    figure::{
        Aim::{AtLeast, AtMost},
        Figure, Unit, title,
    },
    management::Management,
    project::{NAME, Project, output},
};

const BROKERS: [&str; 3] = ["b0", "b1", "b2"];
const FILE: &str = "many.yaml";
const EXCHANGE: &str = "bench.events";
/// Requests that a broker has at once, from fedctl and from the plain client.
const AT_ONCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(300);
const MOST_MEMORY: f64 = 64.0;
/// What `status` asks a broker of this kind, whatever the number of its regions.
const QUESTIONS: [&str; 10] = [
    "queues?disable_stats=true&enable_queue_totals=true",
    "bindings?columns=vhost,source,destination,routing_key",
    "federation-links/state/down?columns=vhost,exchange,queue,upstream,status,error,timestamp,uri",
    "exchanges?columns=vhost,name",
    "consumers?columns=queue.vhost,queue.name,channel_details.user,channel_details.peer_host",
    "health/checks/alarms",
    "nodes?columns=uptime,mem_used",
    "version",
    "vhosts?columns=name",
    "whoami",
];

/// How many regions in which shape, and how many links that makes.
struct Many {
    regions: usize,
    shape: &'static str,
    links: usize,
}

const SHAPES: [Many; 3] = [
    Many { regions: 41, shape: "full-mesh", links: 1640 },
    Many { regions: 300, shape: "ring, one-way: true", links: 300 },
    Many { regions: 300, shape: "hub-and-spoke, hub: r0", links: 598 },
];

/// What a plain client puts: a path and a body, to one of the brokers.
type Object = (usize, String, Value);

/// Three brokers without services, and a client for them.
struct Scale<'a> {
    project: &'a Project,
    places: Vec<Management>,
}

/// Each shape from nothing, with a look and a plan that finds nothing to do.
pub async fn measure(project: &Project, engine: &Engine, repetitions: usize) -> Result<()> {
    project.down()?;
    project.write(&brokers())?;
    project.time(&["up"])?;
    let scale = Scale::find(project, engine).await?;
    for many in &SHAPES {
        scale.shape(many, repetitions).await?;
    }
    Ok(())
}

fn brokers() -> String {
    let regions = BROKERS.map(|name| format!("{{name: {name}}}")).join(", ");
    format!(
        "name: {NAME}\nmaster: b0\nbroker: {{memory: 4096}}\nregions: [{regions}]\nfederation: {{policies: [{{name: none, \
         pattern: '^none$', apply-to: exchanges}}]}}\n"
    )
}

impl<'a> Scale<'a> {
    async fn find(project: &'a Project, engine: &Engine) -> Result<Self> {
        let mut places = Vec::new();
        for name in BROKERS {
            let place = Management::find(project, engine, name).await?;
            project.file(&format!("{name}.password"), &place.password)?;
            places.push(place);
        }
        Ok(Self { project, places })
    }

    async fn shape(&self, many: &Many, repetitions: usize) -> Result<()> {
        self.project.file(FILE, &self.topology(many))?;
        title(&format!("{} regions, {}, {} links", many.regions, many.shape, many.links));
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        let mut objects = Vec::new();
        for _ in 0..repetitions {
            ours.push(self.project.time(&["--file", FILE, "up", "--timeout", "5m"])?);
            objects = self.objects().await?;
            self.clear().await?;
            plain.push(self.put(&objects, AT_ONCE * BROKERS.len()).await?);
            self.clear().await?;
        }
        let alone = self.put(&objects, 1).await?;
        self.clear().await?;
        self.project.time(&["--file", FILE, "up", "--timeout", "5m"])?;
        let ratios = plain.iter().zip(&ours).map(|(plain, ours)| plain.as_secs_f64() / ours.as_secs_f64());
        let ratios = Figure::new(Unit::Times, ratios);
        println!("{} objects to put", objects.len());
        Figure::seconds(ours).print("fedctl up: from nothing", None);
        Figure::seconds(plain).print("  the same PUTs, as many at once", None);
        ratios.print("  speed over theirs", Some(AtLeast(0.9)));
        Figure::seconds([alone]).print("  the same PUTs, one at a time", None);
        self.run(many).await?;
        self.look(repetitions).await?;
        self.paused(repetitions)?;
        self.clear().await
    }

    fn topology(&self, many: &Many) -> String {
        let mut text = String::from("name: many\nmaster: r0\nregions:\n");
        for number in 0..many.regions {
            let at = number % BROKERS.len();
            let (Management { port: management, amqp, .. }, name) = (&self.places[at], BROKERS[at]);
            writeln!(
                text,
                "- name: r{number}\n  broker: {{management: 'http://127.0.0.1:{management}', amqp: 'amqp://127.0.0.1:{amqp}', \
                 advertise: 'amqp://{name}:5672', cluster-name: {name}, vhost: r{number}, user: {ADMINISTRATOR}, \
                 password-file: {name}.password}}"
            )
            .ok();
        }
        let policies = r"policies: [{name: events, pattern: '\.events$', apply-to: exchanges}]";
        text + &format!("federation: {{shape: {}, {policies}}}\n", many.shape)
    }

    /// What is on the brokers of the many regions, in the order in which it can be put.
    async fn objects(&self) -> Result<Vec<Object>> {
        let mut kinds: [Vec<Object>; 6] = Default::default();
        for at in 0..BROKERS.len() {
            let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
            let of_many =
                |value: &Value, key: &str| value[key].as_str().is_some_and(|name| name.contains("many"));
            let in_region = |value: &Value| text(value, "vhost") != "/";
            for found in
                self.places[at].list("vhosts").await?.iter().filter(|found| text(found, "name") != "/")
            {
                kinds[0].push((at, format!("vhosts/{}", text(found, "name")), json!({})));
            }
            for found in self.places[at].list("users").await?.iter().filter(|found| of_many(found, "name")) {
                kinds[1].push((at, format!("users/{}", text(found, "name")), found.clone()));
            }
            for found in
                self.places[at].list("permissions").await?.iter().filter(|found| of_many(found, "user"))
            {
                kinds[2].push((
                    at,
                    format!("permissions/{}/{}", text(found, "vhost"), text(found, "user")),
                    found.clone(),
                ));
            }
            let upstreams = self.places[at].list("parameters/federation-upstream").await?;
            for found in upstreams.iter().filter(|found| in_region(found)) {
                let (vhost, name) = (text(found, "vhost"), text(found, "name"));
                kinds[3].push((at, format!("parameters/federation-upstream/{vhost}/{name}"), found.clone()));
            }
            for found in self.places[at].list("policies").await?.iter().filter(|found| in_region(found)) {
                let (vhost, name) = (text(found, "vhost"), text(found, "name"));
                kinds[4].push((at, format!("policies/{vhost}/{name}"), found.clone()));
            }
            let records = self.places[at].list("global-parameters").await?;
            for found in records.iter().filter(|found| of_many(found, "name")) {
                kinds[5].push((at, format!("global-parameters/{}", text(found, "name")), found.clone()));
            }
        }
        Ok(kinds.into_iter().flatten().collect())
    }

    /// How long it takes to put them, each kind after the one before.
    async fn put(&self, objects: &[Object], at_once: usize) -> Result<Duration> {
        let kind = |object: &Object| object.1.split('/').next().unwrap_or_default().to_owned();
        let started = Instant::now();
        for same in objects.chunk_by(|one, other| kind(one) == kind(other)) {
            let mut by_broker: BTreeMap<usize, Vec<&Object>> = BTreeMap::new();
            for object in same {
                by_broker.entry(object.0).or_default().push(object);
            }
            // to all brokers in turns
            let longest = by_broker.values().map(Vec::len).max().unwrap_or(0);
            let turns = (0..longest).flat_map(|turn| by_broker.values().filter_map(move |all| all.get(turn)));
            let puts = turns.map(|(at, path, body)| self.places[*at].ask(Method::PUT, path, Some(body)));
            stream::iter(puts).buffer_unordered(at_once).try_for_each(|_| async { Ok(()) }).await?;
        }
        Ok(started.elapsed())
    }

    /// Removes what belongs to the many regions: policies first, whose links would miss what is removed.
    async fn clear(&self) -> Result<()> {
        let mut objects = self.objects().await?;
        objects.reverse();
        for (at, path, _) in objects.iter().filter(|(_, path, _)| !path.starts_with("permissions")) {
            let removed = self.places[*at].ask(Method::DELETE, path, None).await;
            if let Err(error) = removed
                && !path.starts_with("parameters")
            {
                bail!("{path}: {error:#}");
            }
        }
        Ok(())
    }

    /// Declares an exchange with a binding in every region, and waits until all links run.
    async fn run(&self, many: &Many) -> Result<()> {
        let regions = (0..many.regions).map(async |number| {
            let (at, vhost) = (number % BROKERS.len(), format!("r{number}"));
            let durable = json!({"durable": true});
            self.places[at]
                .ask(
                    Method::PUT,
                    &format!("exchanges/{vhost}/{EXCHANGE}"),
                    Some(&json!({"type": "topic", "durable": true})),
                )
                .await?;
            self.places[at].ask(Method::PUT, &format!("queues/{vhost}/inbox"), Some(&durable)).await?;
            let path = format!("bindings/{vhost}/e/{EXCHANGE}/q/inbox");
            self.places[at].ask(Method::POST, &path, Some(&json!({"routing_key": "#"}))).await
        });
        let started = Instant::now();
        stream::iter(regions).buffer_unordered(BROKERS.len()).try_for_each(|_| async { Ok(()) }).await?;
        self.project.time(&["--file", FILE, "up", "--timeout", "5m"])?;
        let took = Figure::seconds([started.elapsed()]);
        took.print("exchanges declared, until fedctl up has seen all links run", None);
        let status = output(
            Command::new(&self.project.fedctl)
                .current_dir(self.project.directory())
                .args(["--file", FILE, "status", "-o", "json"]),
        )?;
        let status: Value = serde_json::from_str(&status)?;
        let links = status["links"].as_array().map_or(0, Vec::len);
        if links != many.links || started.elapsed() > PATIENCE {
            bail!("{links} links, not {}", many.links);
        }
        Ok(())
    }

    /// `status` beside what it asks, and a plan that finds nothing to do.
    async fn look(&self, repetitions: usize) -> Result<()> {
        let (mut looks, mut raw, mut plans, mut memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..repetitions.max(5) {
            let (took, peak) = self.project.time_and_memory(&["--file", FILE, "status"])?;
            looks.push(took);
            memory.extend(peak);
            raw.push(self.questions().await?);
            let (took, peak) = self.project.time_and_memory(&["--file", FILE, "plan"])?;
            plans.push(took);
            memory.extend(peak);
        }
        Figure::seconds(looks).print("fedctl status", Some(AtMost(0.15)));
        Figure::seconds(raw).print("  the same requests by a plain client", None);
        Figure::seconds(plans).print("fedctl plan: nothing to do", Some(AtMost(0.5)));
        if !memory.is_empty() {
            Figure::new(Unit::Mebibytes, memory).print("  peak memory of both", Some(AtMost(MOST_MEMORY)));
        }
        Ok(())
    }

    async fn questions(&self) -> Result<Duration> {
        let started = Instant::now();
        let all = QUESTIONS.iter().flat_map(|path| (0..BROKERS.len()).map(move |at| (at, *path)));
        let asked = all.map(|(at, path)| self.places[at].ask(Method::GET, path, None));
        stream::iter(asked)
            .buffer_unordered(AT_ONCE * BROKERS.len())
            .try_for_each(|_| async { Ok(()) })
            .await?;
        Ok(started.elapsed())
    }

    /// `status` while one of the brokers hangs.
    fn paused(&self, repetitions: usize) -> Result<()> {
        let broker = container(NAME, &RegionName::new(BROKERS[2]), BROKER);
        output(Command::new("docker").args(["pause", &broker]))?;
        let looks = (0..repetitions).map(|_| {
            let mut command = Command::new(&self.project.fedctl);
            command.current_dir(self.project.directory()).args(["--file", FILE, "status"]);
            let started = Instant::now();
            command.output()?;
            Ok(started.elapsed())
        });
        let looks: Result<Vec<Duration>> = looks.collect();
        output(Command::new("docker").args(["unpause", &broker]))?;
        Figure::seconds(looks?).print("fedctl status: one of the brokers hangs", None);
        Ok(())
    }
}
