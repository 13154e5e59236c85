//! The expiry-reaper as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("expiry-reaper", expiry_reaper::wire)
}
