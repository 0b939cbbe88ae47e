//! The flags of `fedctl init` and `fedctl import`.

use std::path::PathBuf;

use clap::Args;

/// `fedctl init`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl init                                                    asks, and writes regions.yaml\n  fedctl init --name shop --region europe --region asia          asks nothing; brokers in containers\n  fedctl init --yes --region europe=https://rabbit.eu.example.com --region asia=https://rabbit.asia.example.com"
)]
pub struct Init {
    /// The project's name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A region; with the URL of a management API one whose broker runs already. May be given several times
    #[arg(long = "region", value_name = "NAME[=URL]")]
    pub regions: Vec<String>,
    /// Do not ask: what is not given is the default
    #[arg(short, long)]
    pub yes: bool,
}

/// `fedctl import`.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  fedctl import europe=https://rabbit.eu.example.com asia=https://rabbit.asia.example.com > regions.yaml\n  fedctl import --definitions europe=eu.json --definitions asia=asia.json --output regions.yaml"
)]
pub struct Import {
    /// A broker that becomes a region, by the URL of its management API; the URL may name the user
    #[arg(value_name = "REGION=URL", value_parser = assigned, required_unless_present = "definitions")]
    pub brokers: Vec<(String, String)>,
    /// Definitions that RabbitMQ exported, in place of a broker
    #[arg(long, value_name = "REGION=FILE", value_parser = assigned)]
    pub definitions: Vec<(String, String)>,
    /// The AMQP listener of a region's broker [default: the usual port of the same host]
    #[arg(long, value_name = "REGION=URL", value_parser = assigned)]
    pub amqp: Vec<(String, String)>,
    /// The virtual host, of all regions or of one [default: /]
    #[arg(long, value_name = "[REGION=]VHOST")]
    pub vhost: Vec<String>,
    /// The user to read as, where the URL names none [default: fedctl]
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// The environment variable with its password [default: `REGION_PASSWORD` for each region]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "password_file")]
    pub password_variable: Option<String>,
    /// The file whose first line is its password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The certificates of those who signed the brokers', in PEM
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The project's name [default: the one that is recorded on the brokers]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Write to a new file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

fn assigned(text: &str) -> Result<(String, String), String> {
    let (region, value) = text.split_once('=').ok_or("write it as `REGION=…`")?;
    Ok((region.to_owned(), value.to_owned()))
}
