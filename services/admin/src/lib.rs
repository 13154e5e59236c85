//! The operators' command: migrations, the registry of applications and their keys, parked records, dead
//! letters.

mod dead_letters;
mod keys;
mod outbox;
mod registry;

use std::path::PathBuf;

use anyhow::Context as _;
use bus::{AnnounceSettings, KafkaSettings};
use clap::{Parser, Subcommand};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::Store;

/// Operates the export platform's database.
#[derive(Parser)]
#[command(name = "exports-admin", version = service::VERSION)]
struct Cli {
    /// Settings file (TOML); may be given again, later ones win. `EXPORTS__SECTION__KEY` wins over files.
    #[arg(long, value_name = "FILE", global = true)]
    config: Vec<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Brings the database to this version's schema. Several at once take turns.
    Migrate,
    /// The applications whose data can be exported.
    #[command(subcommand)]
    Registry(registry::Command),
    /// The keys that applications call with.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Records for Kafka that were set aside after too many failures.
    #[command(subcommand)]
    Outbox(outbox::Command),
    /// Announcements that could not be used.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
}

/// The sections that this command reads.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where exports are kept.
    pub database: store::Settings,
    /// Kafka, where dead letters are.
    pub kafka: KafkaSettings,
    /// Which topic they are in.
    pub announce: AnnounceSettings,
}

/// The whole `main`: reads the command line and does what it says.
///
/// # Errors
/// When the settings cannot be used or the database refuses.
pub async fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let _armed = service::failpoints::arm();
    let settings: Settings = service::config::load(&cli.config)?;
    let store = Store::connect(settings.database);
    match cli.command {
        Command::Migrate => migrate(&store).await,
        Command::Registry(command) => registry::run(&store, command).await,
        Command::Keys(command) => keys::run(&store, command).await,
        Command::Outbox(command) => outbox::run(&store, command).await,
        Command::DeadLetters(command) => {
            dead_letters::run(&settings.kafka, &settings.announce, command).await
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
async fn migrate(store: &Store) -> anyhow::Result<()> {
    let applied = store.migrate().await.context("the database was not migrated")?;
    if applied.is_empty() {
        println!("nothing to do: the database has this version's schema");
    }
    for name in applied {
        println!("applied {name}");
    }
    Ok(())
}
