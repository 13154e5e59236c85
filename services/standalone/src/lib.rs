//! All services in one process on the embedded default: a private PostgreSQL cluster, an in-process Kafka
//! broker, local files. The same code as the separate services, only wired differently.

mod details;
mod embedded;
mod resend;
mod settings;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use domain::{Secret, registry::Registry};
use service::{BoxError, Context, Options};
use store::{ApplyOutcome, Store};

use crate::{details::Details, embedded::Embedded};

pub use settings::{Settings, StandaloneSettings};

/// Runs the whole export platform on this machine.
#[derive(Parser)]
#[command(name = "standalone", version = service::VERSION)]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// Folder of the database and of the exported files; made when it is missing.
    #[arg(long, value_name = "DIR", default_value = ".data")]
    data: PathBuf,
    /// File that tells, once all is ready, how the embedded servers are reached. It holds a password.
    #[arg(long, value_name = "FILE")]
    details_file: Option<PathBuf>,
}

/// The whole `main`: reads the command line and the settings, and runs until it is asked to stop.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    service::start("standalone", &cli.options, |context, settings| wire(context, settings, &cli))
}

async fn wire(context: Context, mut settings: Settings, cli: &Cli) -> Result<(), BoxError> {
    let embedded = Arc::new(
        Embedded::start(&cli.data, &[&settings.events.topic, &settings.lifecycle_events.topic]).await?,
    );
    let ending = Arc::clone(&embedded);
    context.at_end(async move { ending.stop().await });

    settings.database.url = Secret::from(embedded.postgres_url());
    settings.kafka.brokers = embedded.kafka_brokers().to_owned();
    settings.object_store.kind = blobs::Kind::Local;
    settings.object_store.local.directory = cli.data.join("objects");

    let store = Store::connect(settings.database.clone());
    store.migrate().await?;
    apply_registry(&store, settings.applications.clone(), &context).await?;
    resend::resend_unanswered(&store, &settings.events, context.clock()).await?;
    service::failpoint!("standalone::asked-again");

    dispatcher::wire(context.for_service("dispatcher"), settings.dispatcher()).await?;
    expiry_reaper::wire(context.for_service("expiry-reaper"), settings.expiry_reaper()).await?;
    internal_api::wire(context.for_service("internal-api"), settings.internal_api()).await?;
    public_api::wire(context.for_service("public-api"), settings.public_api()).await?;

    if let Some(file) = &cli.details_file {
        Details::new(&settings).write(file)?;
    }
    Ok(())
}

async fn apply_registry(store: &Store, wanted: Registry, context: &Context) -> Result<(), BoxError> {
    match store.apply_registry(wanted, context.clock().now()).await? {
        ApplyOutcome::Applied(changes) => {
            for change in changes {
                tracing::info!(%change, "the registry was changed");
            }
            Ok(())
        }
        ApplyOutcome::TooManyKeys(name) => {
            Err(format!("application `{name}` would have more than two keys").into())
        }
    }
}
