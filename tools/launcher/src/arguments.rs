//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Starts the platform on this machine, makes a real export of this machine's inventory, shows what is
/// in it, and keeps serving until Ctrl-C.
#[derive(Debug, Clone, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch of the command line")]
#[command(name = "scripts/run", bin_name = "scripts/run")]
pub struct Arguments {
    /// Run the separate services on `PostgreSQL`, Apache Kafka and an S3 server, instead of all in one
    /// process on the embedded default.
    #[arg(long)]
    pub services: bool,
    /// Stop after the first export.
    #[arg(long, conflicts_with = "no_demo")]
    pub once: bool,
    /// The folder that everything lives in: data, keys, settings, logs, downloads.
    #[arg(long, value_name = "DIR", default_value = ".data")]
    pub data: PathBuf,
    /// Write addresses, process ids and keys to this file (JSON, mode 0600) once everything is ready;
    /// removed at the end.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Settings (TOML) on top of the ones chosen here.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Start neither the demo application nor a first export.
    #[arg(long)]
    pub no_demo: bool,
    /// Also start the SQL source application on the platform's own database: customers may export the list of
    /// their exports.
    #[arg(long)]
    pub sql_source: bool,
    /// Build with optimisations (takes longer once); handled by scripts/run.
    #[arg(long)]
    pub release: bool,
}
