//! Commands to hosts that keep virtual machines.

/// The direct exchange of commands; not federated, its queues are. The key is the command.
pub const COMMANDS: &str = "computing";
/// The queue from which any one host takes a machine to create; federated.
pub const CREATE_QUEUE: &str = "computing-competing";
/// The header that lists who has declined to create a machine: `<region>/<instance>`, comma separated, each with
/// `=image` or `=capacity` for the reason.
pub const DECLINED_HEADER: &str = "x-declined";
/// The header that names the command of a message sent straight to one host's own queue, where the key cannot.
pub const COMMAND_HEADER: &str = "x-command";
/// The command to create a machine, on any one host.
pub const CREATE_VM: &str = "create-vm";
/// The command to start a machine.
pub const START_VM: &str = "start-vm";
/// The command to stop a machine.
pub const STOP_VM: &str = "stop-vm";
/// The command to delete a machine.
pub const DELETE_VM: &str = "delete-vm";
/// The command to list the machines.
pub const LIST_VMS: &str = "list-vms";
/// The path of machines, each below it by name.
pub const VMS_PATH: &str = "/vms";
/// The query parameter with the time that hosts have to answer, in milliseconds.
pub const TIMEOUT_MS: &str = "timeout_ms";

/// The queue of the answers to commands from `region`; federated. It is what `reply_to` names.
#[must_use]
pub fn replies(region: &str) -> String {
    format!("computing-replies.{region}")
}

/// A host's own queue; federated.
#[must_use]
pub fn host_queue(region: &str, instance: &str) -> String {
    format!("computing-host.{region}.{instance}")
}
