//! Starts the application and stops it on SIGTERM or Ctrl-C.

use clap::Parser as _;
use export_source::{Arguments, Source, stop_signal};
use inventory_source::answer::answer;
use tracing_subscriber::EnvFilter;

/// Answers export requests with the inventory of this machine.
#[derive(clap::Parser)]
#[command(name = "inventory-source", version)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let settings = Command::parse().arguments.settings("inventory")?;
    Source::new(settings, answer)?.run(stop_signal()?).await?;
    Ok(())
}
