//! Sends what the outbox holds to Kafka, and ends what nobody answers.
//!
//! Several dispatchers share the work by leases. The loops:
//! - [`outbox`]: lease, send, delete on the broker's report;
//! - [`deadlines`]: sources that nobody answers are asked again, and fail at their deadline, so that every export
//!   ends;
//! - [`depth`]: tells how much waits;
//! - [`topic_limit`]: warns of a topic that takes too little.

mod deadlines;
mod depth;
mod outbox;
mod settings;
mod topic_limit;

use std::{sync::Arc, time::Duration};

use bus::{Producer, RequestEvents};
use service::{BoxError, Context, database::Connections, worker::Worker};
use store::Store;

use deadlines::Deadlines;
pub use settings::{DispatcherSettings, Settings};

/// How often the depth of the outbox is measured.
const DEPTH_EVERY: Duration = Duration::from_secs(5);

/// After so long at most a failed step is tried again: once Kafka is back, what has waited is sent soon. A
/// failing step is slow by itself, as it waits for `kafka.message_timeout`.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// Starts the loops as tasks of `context`.
///
/// # Errors
/// When the settings cannot be used, or the system has no thread left.
#[expect(clippy::unused_async, reason = "the shape that service::run asks for")]
pub async fn wire(context: Context, settings: Settings) -> Result<(), BoxError> {
    settings.check_lease()?;
    let store = Store::connect(settings.database);
    let producer = Producer::new(&settings.kafka, settings.events.max_message_bytes)?;
    let settings_of_loops = settings.dispatcher;

    let events = RequestEvents::new(&settings.events)?;
    let sending = Worker::new("outbox", settings_of_loops.poll.as_duration()).retry_within(LONGEST_RETRY);
    let wake = sending.wake();
    let listener = store.wakeup_listener(sending.wake())?;
    let sender = Arc::new(outbox::Outbox::new(&context, store.clone(), producer.clone(), &settings_of_loops));
    sending.start(&context, move || {
        // The listener lives as long as the loop that it wakes.
        let _ = &listener;
        let sender = Arc::clone(&sender);
        async move { sender.step().await }
    });
    deadlines::start(&context, Deadlines::new(&context, &store, events, wake), &settings_of_loops);
    depth::start(&context, &store, DEPTH_EVERY);
    topic_limit::start(&context, &settings.kafka, &settings.events);

    register_checks(&context, &store, &producer, settings.events.topic);
    // Its threads end once the loops have.
    context.at_end(async move { producer.close().await });
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
