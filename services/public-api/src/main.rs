//! The public API as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("public-api", public_api::wire)
}
