//! `exportctl`: the command line for those who use the platform. A program of its own that uses nothing but
//! public surfaces; each subcommand is a module.

pub mod verify_source;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Works with the export platform from outside.
#[derive(Debug, Parser)]
#[command(name = "exportctl", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks that a running source application answers as it should, and says what to mend.
    VerifySource(Box<verify_source::Arguments>),
}

/// The whole `main`: reads the command line and does what it says. Wrong usage ends the process with 2.
pub async fn run() -> ExitCode {
    match Cli::parse().command {
        Command::VerifySource(arguments) => verify_source::run_and_print(&arguments).await,
    }
}
