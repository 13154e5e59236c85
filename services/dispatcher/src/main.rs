//! The dispatcher as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::run("dispatcher", dispatcher::wire)
}
