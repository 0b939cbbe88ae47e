//! The commands that a person waits for.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use fedctl_model::names::{BROKER, container};

use crate::{
    baseline::Baseline,
    figure::{
        Aim::{AtLeast, AtMost},
        Figure, Unit,
    },
    floor::Floor,
    project::{NAME, Project, output},
};

const QUICK: usize = 50;
const MOST_MEMORY: f64 = 30.0;

/// `up` from nothing and the same containers started bare, in turns; the last one stays up.
pub fn up(project: &Project, baseline: &Baseline, repetitions: usize) -> Result<()> {
    let (mut plain, mut ups, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..repetitions {
        project.down()?;
        plain.push(baseline.time()?);
        let (took, peak) = project.time_and_memory(&["up"])?;
        ups.push(took);
        memory.extend(peak);
    }
    let ratios = ups.iter().zip(&plain).map(|(up, plain)| up.as_secs_f64() / plain.as_secs_f64());
    let ratios = Figure::new(Unit::Times, ratios);
    Figure::seconds(plain).print("docker run: the same containers, until AMQP answers", None);
    Figure::seconds(ups).print("fedctl up: until services are ready and all links run", None);
    ratios.print("  the one over the other", Some(AtMost(1.10)));
    print_memory("fedctl up", memory);
    Ok(())
}

/// `up` when there is nothing to do.
pub fn second_up(project: &Project) -> Result<()> {
    let times = (0..10).map(|_| project.time(&["up"])).collect::<Result<Vec<_>>>()?;
    Figure::seconds(times).print("fedctl up: nothing to do", Some(AtMost(0.05)));
    Ok(())
}

/// `status` compared with its raw limit, and with the broker's own tool.
pub fn status(project: &Project, floor: &Floor, repetitions: usize) -> Result<()> {
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..QUICK {
        ours.push(project.time(&["status"])?);
        raw.push(floor.time()?);
    }
    let (mut turns, mut together) = (Vec::new(), Vec::new());
    for _ in 0..repetitions {
        turns.push(one_after_the_other(project)?);
        together.push(all_at_once(project)?);
    }
    let ours = Figure::seconds(ours);
    ours.print("fedctl status: three regions", Some(AtMost(0.015)));
    Figure::seconds(raw).print("  the same requests by plain sockets", None);
    let faster = |times: &[Duration]| {
        Figure::new(Unit::Times, times.iter().map(|time| time.as_secs_f64() / ours.median()))
    };
    let (slower, best) = (faster(&turns), faster(&together));
    Figure::seconds(turns).print("rabbitmqctl federation_status: one after the other", None);
    slower.print("  over fedctl status", Some(AtLeast(100.0)));
    Figure::seconds(together).print("rabbitmqctl federation_status: three at once", None);
    best.print("  over fedctl status", Some(AtLeast(100.0)));
    memory(project, "status", repetitions)
}

/// The three scenarios on running regions.
pub fn demo(project: &Project, repetitions: usize) -> Result<()> {
    let times = (0..repetitions).map(|_| project.time(&["demo"])).collect::<Result<Vec<_>>>()?;
    Figure::seconds(times).print("fedctl demo: regions are up", Some(AtMost(2.0)));
    memory(project, "demo", repetitions)
}

/// Start-up time, and the size of the binary.
pub fn size(project: &Project) -> Result<()> {
    let times = (0..QUICK).map(|_| project.time(&["--version"])).collect::<Result<Vec<_>>>()?;
    Figure::seconds(times).print("fedctl --version", Some(AtMost(0.005)));
    let bytes = u32::try_from(fs::metadata(&project.fedctl)?.len())?;
    let size = Figure::new(Unit::Mebibytes, [f64::from(bytes) / f64::from(1 << 20)]);
    size.print("size of the binary", Some(AtMost(12.0)));
    Ok(())
}

fn memory(project: &Project, command: &str, repetitions: usize) -> Result<()> {
    let runs = (0..repetitions).map(|_| project.time_and_memory(&[command])).collect::<Result<Vec<_>>>()?;
    print_memory(&format!("fedctl {command}"), runs.into_iter().filter_map(|(_, peak)| peak).collect());
    Ok(())
}

fn print_memory(command: &str, peaks: Vec<f64>) {
    let name = format!("  peak memory of {command}");
    if peaks.is_empty() {
        println!("{name:<58}not measured: no /usr/bin/time here");
    } else {
        Figure::new(Unit::Mebibytes, peaks).print(&name, Some(AtMost(MOST_MEMORY)));
    }
}

fn one_after_the_other(project: &Project) -> Result<Duration> {
    let started = Instant::now();
    project.regions().try_for_each(federation_status)?;
    Ok(started.elapsed())
}

fn all_at_once(project: &Project) -> Result<Duration> {
    let started = Instant::now();
    thread::scope(|scope| {
        let asked: Vec<_> =
            project.regions().map(|region| scope.spawn(move || federation_status(region))).collect();
        asked.into_iter().try_for_each(|asked| asked.join().map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    Ok(started.elapsed())
}

/// Debian's package leaves it to its wrapper to say where the plugins are, and with them this command.
fn federation_status(region: &str) -> Result<()> {
    let script = "dir=$(echo /usr/lib/rabbitmq/lib/*/plugins); [ ! -d $dir ] || export RABBITMQ_PLUGINS_DIR=$dir; \
                  exec rabbitmqctl federation_status";
    let broker = container(NAME, &fedctl_model::topology::RegionName::new(region), BROKER);
    output(Command::new("docker").args(["exec", &broker, "sh", "-c", script])).map(drop)
}
