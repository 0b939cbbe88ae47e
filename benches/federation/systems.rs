//! The four systems that span regions under load, compared with the same consumers in Python.

use anyhow::{Error, Result, anyhow, bail};
use fedctl_contract::{checkout, compute, program::Program, rpc};
use fedctl_messaging::Declarations;
use fedctl_services::{
    compute::command::{self, Host, Verb},
    rpc as caller,
};
use serde_json::json;

use crate::{
    Settings,
    calls::{Answers, Ask, CallLoad, Caller},
    container::Engine,
    events::{USER, load},
    figure::{
        Aim::{AtLeast, AtMost},
        Figure, Unit, title,
    },
    latency,
    project::{NAME, Project},
    region::Region,
    trouble,
};

const PYTHON: &str = "fedctl-test-python";
/// What there is in that image and is measured; the inventory is fedctl's own in both rounds.
const IN_PYTHON: [&str; 4] = ["profile", "rpc-worker", "compute-host", "payment"];
/// A load for Python is so many times smaller, for it to end in about the same time.
const PYTHON_SHARE: usize = 5;
/// Machines are created in loads so many times smaller, by both: a host with more of them takes longer.
const MACHINES_SHARE: usize = 5;
/// How many calls wait for their answers at once.
pub const OUTSTANDING: usize = 64;
/// Where the work is done, and from where it is asked for too.
const REGIONS: [&str; 2] = ["europe", "asia"];

/// One system's path, within a region and across regions.
struct Path {
    name: &'static str,
    /// Whose processor time and memory it is.
    service: &'static str,
    /// How many make a load.
    calls: usize,
    within: Route,
    across: Route,
    per_core: Vec<f64>,
    memory: Vec<f64>,
}

/// What was measured between two places.
struct Route {
    single: Figure,
    rate: Figure,
    /// Times of single ones in the load; none where only the whole can be seen.
    loaded: Option<Figure>,
}

impl Route {
    fn of(single: Figure, loads: Vec<CallLoad>) -> Self {
        let rate = Figure::new(Unit::PerSecond, loads.iter().map(|load| load.rate));
        let loaded = Figure::seconds(loads.into_iter().flat_map(|load| load.times));
        Self { single, rate, loaded: Some(loaded) }
    }
}

/// A path that answers.
struct Plan {
    name: &'static str,
    service: &'static str,
    ask: fn(&str) -> Ask,
    /// How many make a load, for fedctl and for Python.
    sizes: fn(usize) -> [usize; 2],
}

const PLANS: [Plan; 4] = [
    Plan { name: "rpc: analyze", service: "rpc-worker", ask: analyze, sizes: fewer_for_python },
    // while no host has many machines to list
    Plan { name: "compute: list-vms", service: "compute-host", ask: list, sizes: fewer_for_python },
    Plan { name: "compute: create-vm", service: "compute-host", ask: create, sizes: machines },
    Plan {
        name: "checkout: order.created → payment.captured",
        service: "payment",
        ask: capture,
        sizes: fewer_for_python,
    },
];

fn fewer_for_python(calls: usize) -> [usize; 2] {
    [calls, calls.div_ceil(PYTHON_SHARE)]
}

fn machines(calls: usize) -> [usize; 2] {
    [calls.div_ceil(MACHINES_SHARE); 2]
}

/// Measures both, one after the other in regions of their own.
pub async fn compare(project: &Project, engine: &Engine, settings: &Settings) -> Result<()> {
    let regions = stand_up(project, engine, settings, None).await?;
    let ours = measure(engine, &regions, settings, |[ours, _]| ours).await?;
    let trouble = trouble::measure(project, engine, &regions, settings).await?;
    let python = match engine.image(PYTHON).await? {
        Some(image) => measure_python(project, engine, settings, &image).await,
        None => Err(anyhow!("for want of an image `{PYTHON}`; tests/python/image.sh makes it")),
    };
    project.down()?;
    print(&ours, python.as_deref());
    trouble::print(&trouble);
    Ok(())
}

/// The same regions created again, with this image in place of fedctl's own services.
async fn measure_python(
    project: &Project,
    engine: &Engine,
    settings: &Settings,
    image: &str,
) -> Result<Vec<Path>> {
    let regions = stand_up(project, engine, settings, Some(image)).await?;
    measure(engine, &regions, settings, |[_, python]| python).await
}

async fn stand_up(
    project: &Project,
    engine: &Engine,
    settings: &Settings,
    python: Option<&str>,
) -> Result<[Region; 2]> {
    project.down()?;
    project.write(&topology(&project.topology.broker.image, python, settings.workers, 0))?;
    project.time(&["up"])?;
    let find = async |name| Region::find(project, engine, name, "profile").await;
    Ok([find(REGIONS[0]).await?, find(REGIONS[1]).await?])
}

/// Each consumer once, in the region under load; only profiles are kept in every region.
pub fn topology(broker: &str, python: Option<&str>, workers: usize, payment_delay_ms: u32) -> String {
    let service = |name: &str, environment: &str| {
        let image = python.filter(|_| IN_PYTHON.contains(&name)).map(|image| {
            format!(
                "        image: {image}\n        command: [{name}]\n        ports: [{{container: 8000}}]\n        \
                 readiness: {{http: /healthz}}\n"
            )
        });
        format!("      - name: {name}\n        environment: {{{environment}}}\n{}", image.unwrap_or_default())
    };
    let here = [
        service("profile", ""),
        service("rpc-worker", &format!("WORKERS: \"{workers}\"")),
        service("compute-host", "CAPACITY: \"1000000000\""),
        service("inventory", "STOCK: \"lamp=1000000000\""),
        service("payment", &format!("DELAY_MS: \"{payment_delay_ms}\"")),
    ];
    let (here, there, [first, second]) = (here.concat(), service("profile", ""), REGIONS);
    format!(
        "name: {NAME}\nmaster: {first}\nbroker:\n  image: {broker}\nregions:\n  \
         - name: {first}\n    services:\n{here}  - name: {second}\n    services:\n{there}{FEDERATION}"
    )
}

const FEDERATION: &str = r"federation:
  shape: full-mesh
  policies:
    - name: events
      pattern: \.events$
      apply-to: exchanges
    - name: user-updates
      pattern: ^user_updates$
      apply-to: exchanges
    - name: requests
      pattern: ^(python-service-queue|rpc-replies\..+|computing-.+)$
      apply-to: queues
";

async fn measure(
    engine: &Engine,
    regions: &[Region; 2],
    settings: &Settings,
    whose: fn([usize; 2]) -> usize,
) -> Result<Vec<Path>> {
    let updates = whose(fewer_for_python(settings.calls));
    let mut paths = vec![profile(engine, regions, settings, updates).await?];
    for plan in &PLANS {
        let calls = whose((plan.sizes)(settings.calls));
        paths.push(answered(engine, regions, plan, settings, calls).await?);
    }
    for region in regions {
        let dead_lettered = region
            .queues()
            .await?
            .into_iter()
            .find(|(name, messages)| name.starts_with("dead-letters.") && *messages > 0);
        if let Some((queue, messages)) = dead_lettered {
            bail!("region `{}` has {messages} messages in `{queue}`", region.name());
        }
    }
    Ok(paths)
}

async fn profile(
    engine: &Engine,
    [here, there]: &[Region; 2],
    settings: &Settings,
    events: usize,
) -> Result<Path> {
    let within = latency::through_services(here, here, &USER, settings.samples).await?;
    let across = latency::through_services(here, there, &USER, settings.samples).await?;
    let (mut loads, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..settings.repetitions {
        loads.push(load(engine, here, there, &USER, events).await?);
        memory.push(engine.usage(&here.service(USER.service)).await?.memory);
    }
    let rate = |rates: Vec<f64>| Figure::new(Unit::PerSecond, rates);
    let near = rate(loads.iter().map(|load| load.here).collect());
    let far = rate(loads.iter().map(|load| load.there).collect());
    Ok(Path {
        name: "profile: user.profile.update",
        service: USER.service,
        calls: events,
        within: Route { single: within, rate: near, loaded: None },
        across: Route { single: across, rate: far, loaded: None },
        per_core: loads.iter().map(|load| load.per_core).collect(),
        memory,
    })
}

async fn answered(
    engine: &Engine,
    [here, there]: &[Region; 2],
    plan: &Plan,
    settings: &Settings,
    calls: usize,
) -> Result<Path> {
    let worker = here.service(plan.service);
    let caller = Caller::open(here, (plan.ask)(here.name())).await?;
    let single = Figure::seconds(caller.load(settings.samples, 1, None).await?.times);
    let (mut loads, mut per_core, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = engine.usage(&worker).await?;
    for _ in 0..settings.repetitions {
        loads.push(caller.load(calls, OUTSTANDING, None).await?);
        let after = engine.usage(&worker).await?;
        per_core.push(f64::from(u32::try_from(calls)?) / (after.cpu - before.cpu));
        memory.push(after.memory);
        before = after;
    }
    caller.close().await?;
    let within = Route::of(single, loads);
    let caller = Caller::open(there, (plan.ask)(there.name())).await?;
    let single = Figure::seconds(caller.load(settings.samples, 1, None).await?.times);
    let mut loads = Vec::new();
    for _ in 0..settings.repetitions {
        loads.push(caller.load(calls, OUTSTANDING, None).await?);
    }
    caller.close().await?;
    let across = Route::of(single, loads);
    Ok(Path { name: plan.name, service: plan.service, calls, within, across, per_core, memory })
}

fn analyze(region: &str) -> Ask {
    Ask {
        exchange: "",
        key: rpc::REQUESTS.to_owned(),
        body: |id| {
            let data = json!({"text": "to be or not to be that is the question"});
            json!({"pattern": {"cmd": "analyze"}, "data": data, "id": id})
        },
        declarations: caller::declarations(&REGIONS.map(str::to_owned), &[]),
        answers: Answers::Queue(rpc::replies(region, Program::Rpc.name())),
        good: |_, reply| reply["status"] == "success" && reply["data"]["words"] == 10,
    }
}

fn list(region: &str) -> Ask {
    command(region, Verb::List, |_| json!({}))
}

fn create(region: &str) -> Ask {
    command(region, Verb::Create, |id| json!({"name": id, "image": "debian", "cpus": 1}))
}

fn command(region: &str, verb: Verb, body: fn(&str) -> serde_json::Value) -> Ask {
    let host = Host::new(REGIONS[0], "compute-host").into_iter().collect::<Vec<_>>();
    Ask {
        exchange: compute::COMMANDS,
        key: verb.name().to_owned(),
        body,
        declarations: command::declarations(&REGIONS.map(str::to_owned), &host),
        answers: Answers::Queue(compute::replies(region)),
        good: |_, answer| answer["execution-info"]["status"] == "success",
    }
}

fn capture(region: &str) -> Ask {
    Ask { answers: Answers::Events("payment.*"), good: |key, _| key == "payment.captured", ..order(region) }
}

/// An order that waits for its stock to be reserved.
pub fn order(region: &str) -> Ask {
    Ask {
        exchange: checkout::EVENTS,
        key: checkout::order_created(region),
        body: |id| {
            let region = REGIONS[0];
            json!({"order_id": id, "sku": "lamp", "quantity": 1, "amount": "9.90", "region": region})
        },
        declarations: Declarations::default(),
        answers: Answers::Events("inventory.*"),
        good: |key, _| key == "inventory.reserved",
    }
}

/// What was measured is shown, even if the other half failed.
fn print(ours: &[Path], python: Result<&[Path], &Error>) {
    println!("\n{:<58}{:<38}Python", "systems: median (min … max)", "fedctl");
    if let Err(reason) = python {
        println!("not measured: Python, {reason:#}");
    }
    let python = python.ok();
    for (index, path) in ours.iter().enumerate() {
        print_path(path, python.map(|paths| &paths[index]));
    }
    if let Some(python) = python {
        title("fedctl over Python");
        ours.iter().zip(python).for_each(|(ours, python)| print_ratios(ours, python));
    }
}

fn print_path(ours: &Path, python: Option<&Path>) {
    println!("{}", ours.name);
    let row = |name: &str, value: &dyn Fn(&Path) -> String| {
        println!("{name:<58}{:<38}{}", value(ours), python.map(value).unwrap_or_default());
    };
    let way = |name: &str, way: &dyn Fn(&Path) -> &Route| {
        row(&format!("  {name}, one at a time"), &|path| way(path).single.to_string());
        row("    99 of 100 within", &|path| way(path).single.show(way(path).single.p99()));
        row(&format!("  {name}, a load"), &|path| way(path).rate.to_string());
        if way(ours).loaded.is_some() {
            let loaded = |value: fn(&Figure) -> String| {
                move |path: &Path| way(path).loaded.as_ref().map(value).unwrap_or_default()
            };
            row(&format!("    each, {OUTSTANDING} at once"), &loaded(ToString::to_string));
            row("    99 of 100 within", &loaded(|figure| figure.show(figure.p99())));
        }
    };
    row("  messages in a load", &|path| path.calls.to_string());
    way("within a region", &|path| &path.within);
    way("across regions", &|path| &path.across);
    let service = ours.service;
    row(&format!("  for a second of {service}'s processor time"), &|path| {
        Figure::new(Unit::PerSecond, path.per_core.iter().copied()).to_string()
    });
    row(&format!("  memory of {service}'s container, after a load"), &|path| {
        Figure::new(Unit::Mebibytes, path.memory.iter().copied()).to_string()
    });
}

fn print_ratios(ours: &Path, python: &Path) {
    let ratios = |ours: &[f64], python: &[f64]| {
        Figure::new(Unit::Times, ours.iter().zip(python).map(|(ours, python)| ours / python))
    };
    println!("{}", ours.name);
    ratios(&ours.per_core, &python.per_core).print("  throughput per core", Some(AtLeast(10.0)));
    ratios(&ours.memory, &python.memory).print("  memory", Some(AtMost(0.25)));
}
