//! The command line, as a program.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    exportctl::run().await
}
