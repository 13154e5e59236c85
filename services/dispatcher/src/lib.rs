//! Sends what the outbox holds to Kafka, and ends what nobody answers.
//!
//! Several dispatchers share the work by leases. The loops:
//! - [`outbox`]: lease, send, delete on the broker's report; one loop for each kind of record ([`lanes`]);
//! - [`registry`]: which applications are announced;
//! - [`deadlines`]: sources that nobody answers are asked again, and fail at their deadline, so that every export
//!   ends;
//! - [`depth`]: tells how much waits;
//! - [`topic_limit`]: warns of a topic that takes too little.

mod announcing;
mod deadlines;
mod depth;
mod lanes;
mod outbox;
mod registry;
mod render;
mod settings;
mod topic_limit;
mod unsent;

use std::time::Duration;

use blobs::UrlSigner;
use bus::{Producer, RequestEvents};
use service::{BoxError, Context, database::Connections};
use store::Store;

use deadlines::Deadlines;
pub use settings::{DispatcherSettings, Settings};

/// How often the depth of the outbox is measured.
const DEPTH_EVERY: Duration = Duration::from_secs(5);

/// Starts the loops as tasks of `context`.
///
/// # Errors
/// When the settings cannot be used, an application is to be announced whose data has no URL, or the system has
/// no thread left.
pub async fn wire(context: Context, settings: Settings) -> Result<(), BoxError> {
    settings.check_lease()?;
    settings.announce.check()?;
    let store = Store::connect(settings.database.clone());
    let events = RequestEvents::new(&settings.events)?;
    let signer = UrlSigner::connect(&settings.object_store)?;
    let registry = registry::follow(&context, &store, signer.is_some()).await?;
    let (producer, wake) = lanes::start(&context, &store, &settings, signer, registry)?;
    let deadlines = Deadlines::new(&context, &store, &settings.dispatcher, events, wake);
    deadlines::start(&context, deadlines, &settings.dispatcher);
    depth::start(&context, &store, DEPTH_EVERY);
    topic_limit::start(&context, &settings.kafka, &settings.events);
    register_checks(&context, &store, &producer, settings.events.topic);
    Ok(())
}

fn register_checks(context: &Context, store: &Store, producer: &Producer, topic: String) {
    service::database::register(
        context,
        store,
        |store| async move { store.check().await },
        |store| {
            let pool = store.pool_state();
            Connections { open: pool.open, idle: pool.idle }
        },
    );
    let producer = producer.clone();
    context.health().register("kafka", move || {
        let (producer, topic) = (producer.clone(), topic.clone());
        async move { producer.check(&topic).await }
    });
}
