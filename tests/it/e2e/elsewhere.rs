//! fedctl where the engine's socket answers, and its ports do not.

use std::{process::Command, time::Duration};

use crate::support::{Project, engine::docker, ran::Ran};

/// fedctl in a network namespace of its own, whose loopback address is not the engine's.
fn in_a_namespace(project: &Project, arguments: &[&str]) -> Ran {
    let fedctl = project.command(arguments);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]);
    command.arg(fedctl.get_program()).args(fedctl.get_args()).env_remove("FEDCTL_FILE");
    Ran::of(command)
}

pub fn ports_that_cannot_be_reached_from_here_are_named_soon(project: &Project) {
    let refused = |ran: Ran| {
        ran.exits(69)
            .says("broker europe: the broker's container runs, but port ")
            .says(" published on 127.0.0.1 refuses connections from here: is fedctl running in another network namespace")
            .says("--network host")
            .within(Duration::from_secs(50));
    };
    refused(in_a_namespace(project, &["up", "--timeout", "60s"]));
    docker(&["rm", "--force", &project.container("europe", "broker")]);
    refused(in_a_namespace(project, &["up", "--timeout", "60s"]));
    project.up();
}
