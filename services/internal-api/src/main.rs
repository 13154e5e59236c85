//! The internal API as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("internal-api", internal_api::wire)
}
