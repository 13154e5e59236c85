//! The walk: start everything, first export, staying, stopping.

use std::future::pending;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use tokio::signal::unix::{SignalKind, signal};

use crate::platform::Platform;
use crate::screen::show_examples;
use crate::{Arguments, first_export};

/// Starts everything, makes the first export, and serves until Ctrl-C, SIGTERM, or, with `--once`, the
/// end of the first export. Everything started is stopped before this returns.
///
/// # Errors
/// When something does not start, or with `--once` the export fails or is not waited for.
pub async fn run(arguments: &Arguments) -> Result<()> {
    let mut stop = StopSignals::new()?;
    let mut platform = Platform::new(arguments)?;
    let outcome = tokio::select! {
        outcome = work(&mut platform, arguments) => outcome,
        () = stop.next() => interrupted(arguments),
    };
    println!("\nStopping …");
    tokio::select! {
        () = platform.stop() => println!("Stopped. Everything is kept in {}", arguments.data.display()),
        () = stop.next() => println!("Not waiting any longer"),
    }
    outcome
}

/// To be stopped is how a run ends well, unless it was to make an export.
fn interrupted(arguments: &Arguments) -> Result<()> {
    ensure!(!arguments.once, "stopped before the first export was made");
    Ok(())
}

async fn work(platform: &mut Platform<'_>, arguments: &Arguments) -> Result<()> {
    let mut running = platform.start().await?;
    let export = first_export(arguments, running.public_url.clone(), platform.downloads());
    tokio::select! {
        outcome = export => outcome,
        outcome = platform.keep_running(&mut running) => outcome,
    }
}

/// Ctrl-C and SIGTERM.
struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn new() -> Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Makes the first export and, unless this is all that was asked for, stays.
async fn first_export(arguments: &Arguments, public_url: String, downloads: PathBuf) -> Result<()> {
    let mut export = None;
    if !arguments.no_demo {
        match first_export::make(&public_url, &downloads).await {
            Ok(id) => export = Some(id),
            Err(error) if arguments.once => return Err(error),
            // Everything else works: let a person find out why.
            Err(error) => println!("\nThe first export failed: {error:#}"),
        }
    }
    if arguments.once {
        return Ok(());
    }
    show_examples(&public_url, export.as_deref());
    println!("\nRunning until Ctrl-C.");
    pending().await
}
