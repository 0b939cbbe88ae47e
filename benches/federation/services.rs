//! fedctl's services under load, compared with a Nameko service that does the same.

use std::time::Duration;

use anyhow::Result;

use crate::{
    Settings,
    container::Engine,
    events::{Load, PRODUCT, load},
    figure::{Aim::AtMost, Figure, Unit, title},
    latency,
    project::Project,
    region::{Region, until},
};

const NAMEKO: &str = "fedctl-test-python";
const SERVICES: [&str; 3] = ["products", "indexer", "taxes"];
/// A load for Nameko is so many times smaller, for it to end in about the same time.
const NAMEKO_SHARE: usize = 20;

/// What was measured of one implementation.
struct Half {
    events: usize,
    loads: Vec<Load>,
    latency: Figure,
    memory: Figure,
}

/// Measures both, one after the other in the same regions.
pub async fn compare(project: &Project, engine: &Engine, settings: &Settings) -> Result<()> {
    let regions = regions(project, engine).await?;
    let hop = latency::through_brokers(&regions[0], &regions[1], settings.samples).await?;
    let ours = measure(engine, &regions, settings, settings.events).await?;
    ours.memory.print("memory of a service's container, after the load", Some(AtMost(15.0)));

    let nameko = match engine.image(NAMEKO).await? {
        Some(image) => Some(measure_nameko(project, engine, settings, &image).await?),
        None => None,
    };
    print(&ours, nameko.as_ref());
    title("one event from publish to delivery in another region");
    hop.print("brokers alone", None);
    println!("{:<58}{:>33}", "  99 of 100 within", hop.show(hop.p99()));
    Ok(())
}

async fn regions(project: &Project, engine: &Engine) -> Result<Vec<Region>> {
    let mut regions = Vec::new();
    for name in project.regions() {
        regions.push(Region::find(project, engine, name, "products").await?);
    }
    Ok(regions)
}

async fn measure(engine: &Engine, regions: &[Region], settings: &Settings, events: usize) -> Result<Half> {
    let (here, there) = (&regions[0], &regions[1]);
    let latency = latency::through_services(here, there, &PRODUCT, settings.samples).await?;
    let mut loads = Vec::new();
    for _ in 0..settings.repetitions {
        loads.push(load(engine, here, there, &PRODUCT, events).await?);
    }
    let mut memory = Vec::new();
    for region in regions {
        for service in SERVICES {
            memory.push(engine.usage(&region.service(service)).await?.memory);
        }
    }
    Ok(Half { events, loads, latency, memory: Figure::new(Unit::Mebibytes, memory) })
}

/// The same regions created again, with services from this image in place of fedctl's own.
async fn measure_nameko(
    project: &Project,
    engine: &Engine,
    settings: &Settings,
    image: &str,
) -> Result<Half> {
    let service = |name: &str| {
        format!(
            "      - name: {name}\n        image: {image}\n        command: [{name}]\n        \
             ports: [{{container: 8000}}]\n        readiness: {{http: /healthz}}\n"
        )
    };
    project.down()?;
    project.with_services(&SERVICES.map(service).concat())?;
    project.time(&["up"])?;
    let regions = regions(project, engine).await?;
    for region in &regions {
        for service in SERVICES {
            until(Duration::from_millis(100), async || region.is_ready(engine, service).await).await?;
        }
    }
    measure(engine, &regions, settings, settings.events.div_ceil(NAMEKO_SHARE)).await
}

fn print(ours: &Half, nameko: Option<&Half>) {
    println!("\n{:<58}{:<38}Nameko", "services: median (min … max)", "fedctl");
    if nameko.is_none() {
        println!("not measured: Nameko, for want of an image `{NAMEKO}`; tests/python/image.sh makes it");
    }
    let row = |name: &str, value: &dyn Fn(&Half) -> String| {
        let nameko = nameko.map(value).unwrap_or_default();
        println!("{name:<58}{:<38}{nameko}", value(ours));
    };
    let rate = |name: &str, value: &dyn Fn(&Load) -> f64| {
        row(name, &|half| Figure::new(Unit::PerSecond, half.loads.iter().map(value)).to_string());
    };
    row("events in a load", &|half| half.events.to_string());
    rate("events published and confirmed", &|load| load.published);
    rate("events processed in the region", &|load| load.here);
    rate("events processed in another region", &|load| load.there);
    rate("events for a second of the indexer's processor time", &|load| load.per_core);
    row("POST in a region → GET in another", &|half| half.latency.to_string());
    row("  99 of 100 within", &|half| half.latency.show(half.latency.p99()));
    row("memory of a service's container", &|half| half.memory.to_string());
}
