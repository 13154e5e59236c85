//! Intake as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("intake", intake::wire)
}
