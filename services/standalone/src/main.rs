//! All services in one process, as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    standalone::run()
}
