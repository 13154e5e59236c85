//! `exports-admin keys`: the keys that applications call with.

use anyhow::bail;
use clap::Subcommand;
use domain::{ApplicationName, Clock as _, KeyHash, Secret, SystemClock, ids::KeyId};
use store::{AddKeyOutcome, Store};

/// What to do with keys.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Draws a key for an application and shows it, this once. Two are live at a time: to replace one, create
    /// another, hand it over, wait until only it is used, withdraw the old one.
    Create {
        /// The application's name.
        application: String,
    },
    /// Lists the keys: id, application, first digits of the hash, where from, since when, last used.
    List,
    /// Withdraws a key. Calls with it are refused within seconds.
    Revoke {
        /// Its id, as `keys list` shows it.
        id: KeyId,
    },
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
pub(crate) async fn run(store: &Store, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create { application } => {
            let key = create(store, &application).await?;
            println!("{}", key.expose());
        }
        Command::List => list(store).await?,
        Command::Revoke { id } => {
            if !store.withdraw_key(id).await? {
                bail!("there is no key {id}");
            }
            println!("withdrawn");
        }
    }
    Ok(())
}

async fn create(store: &Store, application: &str) -> anyhow::Result<Secret> {
    let name = ApplicationName::parse(application)?;
    let key = access::random_key()?;
    match store.add_key(name, KeyHash::of(key.expose().as_bytes()), SystemClock.now()).await? {
        AddKeyOutcome::Added(_) => Ok(key),
        AddKeyOutcome::NoApplication => bail!("there is no application `{application}`"),
        AddKeyOutcome::TooManyKeys => bail!("`{application}` has two keys: withdraw one of them first"),
        AddKeyOutcome::Known => bail!("the key that was drawn is somebody's already: try again"),
    }
}

#[expect(clippy::print_stdout, reason = "the answer of a command")]
async fn list(store: &Store) -> anyhow::Result<()> {
    for key in store.registry().await?.keys {
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339());
        println!(
            "{}\t{}\t{}\t{}\t{}\t{used}",
            key.id,
            key.application,
            key.hash.fingerprint(),
            if key.in_file { "file" } else { "command" },
            key.created_at.to_rfc3339(),
        );
    }
    Ok(())
}
