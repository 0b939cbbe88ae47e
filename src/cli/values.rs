//! What flags can be set to.

use clap::ValueEnum;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// Live display on a terminal, plain lines elsewhere.
    Auto,
    /// Live display, redrawn in place.
    Tty,
    /// One line for each completed object.
    Plain,
    /// One JSON object per line.
    Json,
    /// No progress.
    Quiet,
}

/// The output format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table.
    Table,
    /// A table with every detail.
    Wide,
    /// JSON, in a stable, versioned format.
    Json,
    /// The same report as YAML.
    Yaml,
}

/// The output format of a status: also those of monitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// A table.
    Table,
    /// A table with every detail.
    Wide,
    /// JSON, in a stable, versioned format.
    Json,
    /// The same report as YAML.
    Yaml,
    /// Metrics, in the text format of Prometheus.
    Prom,
    /// One line with performance data, and the exit codes 0, 1, 2 and 3 of a Nagios plugin.
    Nagios,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The topology file, regions.yaml.
    Topology,
    /// The report of `fedctl status -o json`.
    Status,
    /// The report of `fedctl probe -o json`.
    Probe,
    /// The report of `fedctl test -o json`.
    Test,
    /// The report of `fedctl demo -o json`.
    Demo,
    /// The report of `fedctl queues -o json`.
    Queues,
    /// The report of `fedctl doctor -o json`.
    Doctor,
    /// The report of `fedctl check -o json`.
    Check,
    /// The report of `fedctl trace -o json`.
    Trace,
}

/// The output format of a report that is not a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextFormat {
    /// Text, for people.
    Text,
    /// JSON, in a stable, versioned format.
    Json,
    /// The same report as YAML.
    Yaml,
}
