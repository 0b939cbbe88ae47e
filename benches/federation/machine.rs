//! What the figures were measured on.

use std::{fs, process::Command, thread};

use anyhow::Result;

use crate::project::{LABEL, Project, output};

/// One line: processor, memory, kernel, engine, broker, and how busy the machine was.
pub fn print(engine: &str, project: &Project) -> Result<()> {
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    let model = field("/proc/cpuinfo", "model name")?;
    let cores = thread::available_parallelism()?;
    let kibibytes: u64 = field("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let image = &project.topology.broker.image;
    let broker = output(Command::new("docker").args([
        "run",
        "--rm",
        "--label",
        LABEL,
        image,
        "rabbitmqctl",
        "version",
    ]))?;
    println!(
        "{model}, {cores} cores, {} GiB; Linux {}; Docker {engine}; RabbitMQ {} ({image}); load {load}",
        kibibytes >> 20,
        kernel.trim(),
        broker.trim(),
    );
    Ok(())
}

fn field(path: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(path)?;
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    Ok(value.unwrap_or_else(|| "unknown".into()))
}
