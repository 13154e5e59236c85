//! `exports-admin outbox`: look at parked records and let them be sent again.

use clap::{Args, Subcommand};
use domain::{Clock as _, SystemClock};
use store::Store;

/// What to do with parked records.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists parked records, oldest first: id, export, kind, tries, since when, and why.
    Parked {
        /// Most records listed.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Lets parked records be sent again.
    Requeue(Requeue),
}

/// Which ones.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Requeue {
    /// These ids.
    ids: Vec<i64>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
pub(crate) async fn run(store: &Store, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Parked { limit } => {
            for record in store.parked_records(limit).await? {
                println!(
                    "{}\t{}\t{}\t{}\t{}\t{}",
                    record.id,
                    record.export_id,
                    record.kind,
                    record.attempts,
                    record.parked_at.to_rfc3339(),
                    record.last_error
                );
            }
        }
        Command::Requeue(Requeue { ids, all }) => {
            let ids = (!all).then_some(ids);
            let count = store.requeue_records(ids, SystemClock.now()).await?;
            println!("{count} records will be sent again");
        }
    }
    Ok(())
}
