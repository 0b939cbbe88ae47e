//! The command line: commands, flags, and where their defaults come from.

mod begin;
mod change;
mod check;
mod exporter;
mod link;
mod test;
mod values;

use std::{path::PathBuf, time::Duration};

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};

pub use begin::{Import, Init};
pub use change::{Apply, Choices, Plan, Up};
pub use check::{Check, Explain};
pub use exporter::Exporter;
use fedctl_contract::program::Program;
use fedctl_model::status::Limits;
use fedctl_scenarios::{self as scenarios, Scenario};
pub use link::{Link, Pair};
pub use test::{Test, TestFormat};
pub use values::{Color, Format, Progress, SchemaOf, StatusFormat, TextFormat};

/// Stand up, federate, monitor and prove RabbitMQ across regions.
#[derive(Debug, Parser)]
#[command(
    name = "fedctl",
    version,
    max_term_width = 100,
    before_help = "Examples:\n  fedctl up        stand up every region of regions.yaml and federate them\n  fedctl status    show every broker, service and link, expected vs. actual"
)]
pub struct Cli {
    /// The flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The flags of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The topology file
    #[arg(long, global = true, value_name = "FILE", env = "FEDCTL_FILE", default_value = "regions.yaml")]
    pub file: PathBuf,
    /// Docker engine to connect to [default: the one that `docker` uses]
    #[arg(long, global = true, value_name = "URL", env = "DOCKER_HOST", hide_env_values = true)]
    pub host: Option<String>,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = false)]
    pub color: Color,
    /// How to show progress
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    pub progress: Progress,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first regions.yaml, after three questions
    Init(Init),
    /// Write a regions.yaml from brokers that are federated already
    Import(Import),
    /// Stand up the regions, federate them, and wait until every link runs
    Up(Up),
    /// Show what `up` would change, without changing anything
    Plan(Plan),
    /// Show what would change, ask, and change it; or apply a plan from a file, and nothing else
    Apply(Apply),
    /// Pull the images ahead of time; build the broker image if it cannot be pulled
    #[command(
        before_help = "Examples:\n  fedctl pull                        the images of regions.yaml\n  fedctl pull --file systems.yaml    those of another topology"
    )]
    Pull,
    /// Show every broker, service and link, expected vs. actual
    Status(Status),
    /// Serve the status to Prometheus: every scrape looks at all regions and links
    Exporter(Exporter),
    /// Send messages of its own through a link between every two regions, and measure them
    Probe(Probe),
    /// Run the topology's own tests: what arrives where, how often, and nowhere else
    Test(Test),
    /// Run the cross-region scenarios and report the results
    Demo(Demo),
    /// Show queue depths; warn about dead letters and queues without consumers
    Queues(Queues),
    /// Restart, pause or resume the links from one region to another; no message is lost
    #[command(
        subcommand,
        before_help = "Examples:\n  fedctl link pause europe asia      messages for asia wait in europe\n  fedctl link restart europe asia    every link by which asia gets messages of europe"
    )]
    Link(Link),
    /// Trace one request through services and regions, by its correlation ID
    Trace(Trace),
    /// Find mistakes in the file and on the brokers that cost messages, speed or security
    Check(Check),
    /// Check the engine, the machine, ports, brokers, and what other projects left behind
    Doctor(Doctor),
    /// Remove containers and networks; data is kept unless --volumes is given
    Down(Down),
    /// Show the logs of containers
    Logs(Logs),
    /// Export the topology for another tool
    Export(Export),
    /// Explain a diagnostic by its code, such as FED0107
    Explain(Explain),
    /// Print the JSON schema of regions.yaml, or of a report
    #[command(
        before_help = "Examples:\n  fedctl schema > regions.schema.json    completion and checks in an editor\n  fedctl schema status                   the schema of `fedctl status -o json`"
    )]
    Schema {
        /// Which schema
        #[arg(value_name = "SCHEMA", default_value = "topology")]
        of: SchemaOf,
    },
    /// Print a completion script for a shell
    #[command(
        before_help = "Examples:\n  fedctl completions bash > /etc/bash_completion.d/fedctl\n  fedctl completions fish > ~/.config/fish/completions/fedctl.fish"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(
        before_help = "Examples:\n  fedctl man | man -l -                                  read it\n  fedctl man > /usr/local/share/man/man1/fedctl.1    install it"
    )]
    Man,
    /// Run one of the built-in services, as its container does
    #[command(
        hide = true,
        before_help = "Examples:\n  fedctl service products    what the container of `products` runs\n  fedctl service indexer     the settings come from the environment"
    )]
    Service {
        /// Which built-in service
        #[arg(value_name = "SERVICE", value_parser = program())]
        program: Program,
    },
}

/// `fedctl status`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl status --watch      repeat every second, and show what changes\n  fedctl status -o json      for scripts; exit code 4 if anything is degraded\n  fedctl status -o nagios --max-backlog 1000 --max-lag 5m"
)]
pub struct Status {
    /// Output format
    #[arg(short, long, visible_alias = "format", value_name = "FORMAT", default_value = "table")]
    pub output: StatusFormat,
    /// Only what is wrong
    #[arg(long)]
    pub problems: bool,
    /// Repeat every second until interrupted, and show what changes
    #[arg(short, long)]
    pub watch: bool,
    /// Degraded if more than N messages are queued on the upstream for one link
    #[arg(long, value_name = "N")]
    pub max_backlog: Option<u64>,
    /// Degraded if messages have waited for one link, without becoming fewer, for longer
    ///
    /// Brokers do not say how old a message is. So this is the time since a look of fedctl last found fewer messages than
    /// the look before, or none. After a first look, and after more than fifteen minutes without one, it is unknown and
    /// exceeds nothing.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub max_lag: Option<Duration>,
}

impl Status {
    /// How far links may fall behind.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits { backlog: self.max_backlog, lag: self.max_lag.map(|lag| lag.as_secs()) }
    }
}

/// `fedctl probe`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl probe                       every pair of regions; exit code 5 if a message is lost\n  fedctl probe europe asia -o json   only the links between these two, for scripts"
)]
pub struct Probe {
    /// Only the links between these regions
    #[arg(value_name = "REGION")]
    pub regions: Vec<String>,
    /// How many messages each link gets
    #[arg(long, value_name = "MESSAGES", default_value_t = PROBE_COUNT, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub count: u16,
    /// How long all of it may take; what has not arrived by then is lost
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

/// How many messages each link gets by default.
pub const PROBE_COUNT: u16 = 20;

/// `fedctl demo`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl demo                                events, master and reply; the regions are brought up first\n  fedctl demo master                         only this one; exit code 5 if it fails\n  fedctl --file systems.yaml demo --all      every scenario"
)]
pub struct Demo {
    /// Which scenarios [default: events, master and reply]
    #[arg(value_name = "SCENARIO", value_parser = scenario())]
    pub scenarios: Vec<&'static Scenario>,
    /// Run every scenario
    #[arg(long, conflicts_with = "scenarios")]
    pub all: bool,
    /// Also send each scenario a message that cannot be processed; it must fail and report where the message ended up
    #[arg(long)]
    pub poison: bool,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: TextFormat,
    /// How long each scenario may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}

fn scenario() -> impl TypedValueParser<Value = &'static Scenario> {
    let known = scenarios::ALL.map(|known| PossibleValue::new(known.name).help(known.claim));
    let named = |name: String| scenarios::ALL.into_iter().find(|known| known.name == name);
    PossibleValuesParser::new(known).try_map(move |name| named(name).ok_or("no such scenario"))
}

fn program() -> impl TypedValueParser<Value = Program> {
    let known = Program::ALL.iter().map(|known| PossibleValue::new(known.name()).help(known.summary()));
    PossibleValuesParser::new(known)
        .try_map(|name| Program::from_name(&name).ok_or("no such built-in service"))
}

/// `fedctl queues`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl queues --watch      repeat every second, and warn about queues that only grow\n  fedctl queues -o wide      the empty ones too; exit code 4 if there is a warning"
)]
pub struct Queues {
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
    /// Repeat every second until interrupted
    #[arg(short, long)]
    pub watch: bool,
}

/// `fedctl trace`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl trace 01939c2e-7d6f-7c34-a0f5-0d1f6f1c9a11             an ID that `fedctl demo` printed\n  fedctl trace 01939c2e-7d6f-7c34-a0f5-0d1f6f1c9a11 -o json     for scripts"
)]
pub struct Trace {
    /// Correlation ID of the request
    #[arg(value_name = "CORRELATION_ID")]
    pub correlation_id: String,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: TextFormat,
}

/// `fedctl doctor`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl doctor                        what may keep the project from working\n  fedctl doctor --bundle report.tar    also everything that a bug report needs, without a password"
)]
pub struct Doctor {
    /// Also write an archive for a bug report: status, queues and logs, without any password
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: TextFormat,
}

/// `fedctl down`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl down                          remove containers and networks, keep the data\n  fedctl down --volumes --confirm shop also remove the data of project `shop`"
)]
pub struct Down {
    /// Also remove the volumes, with every message in them, and the passwords
    #[arg(long)]
    pub volumes: bool,
    /// Also remove the images that fedctl built
    #[arg(long)]
    pub images: bool,
    /// Project name, to confirm without a prompt
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    /// Another project, such as one that this topology was named before
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Also if the project belongs to another topology file
    #[arg(long)]
    pub take_over: bool,
}

/// `fedctl logs`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl logs europe broker      the log of the broker in europe\n  fedctl logs -f                 follow all logs"
)]
pub struct Logs {
    /// Only this region
    #[arg(value_name = "REGION")]
    pub region: Option<String>,
    /// Only this service, or one of its replicas such as `rpc-worker-2`; `broker` for the broker
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
    /// Follow the logs
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last LINES lines of each container
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<usize>,
}

/// `fedctl export`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl export compose                         write compose/compose.yaml and the files it needs\n  fedctl export service-image >service.tar      the built-in services' image, for `docker import`"
)]
pub struct Export {
    /// In which form.
    #[command(subcommand)]
    pub form: ExportForm,
}

/// What can be exported.
#[derive(Debug, Subcommand)]
pub enum ExportForm {
    /// Write a Docker Compose project that runs without fedctl
    Compose(ExportCompose),
    /// Write the root file system of the built-in services' image to standard output, as a tar
    #[command(
        before_help = "Examples:\n  fedctl export service-image | docker import - fedctl-service:local\n  fedctl export service-image >service.tar"
    )]
    ServiceImage,
}

/// `fedctl export compose`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl export compose                      write to ./compose\n  fedctl export compose --output /srv/shop   write to /srv/shop"
)]
pub struct ExportCompose {
    /// Directory to write to; existing files of the same name are overwritten
    #[arg(short, long, value_name = "DIR", default_value = "compose")]
    pub output: PathBuf,
}
