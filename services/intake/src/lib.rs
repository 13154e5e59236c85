//! Fetches the archives that applications announce instead of posting them, and hands them in (contract page 2,
//! "Consuming").
//!
//! A service of its own, because it makes requests to where others say and moves bytes. Several share the topic
//! by their consumer group. The way of a record: [`intake`] takes it and keeps its partition going, [`record`]
//! brings it to an end, [`hand_in`] is one try of that.
//!
//! Invariant: an offset is committed when the record's source is settled or its dead letter is stored. What is
//! away (database, object storage, Kafka) is waited for, and no record is given up for it.

mod archive_body;
mod budget;
mod hand_in;
mod intake;
mod record;
mod registry;
mod settings;
mod telling;
mod turns;

use std::sync::Arc;

use service::{BoxError, Context, database::Connections};

use crate::intake::Intake;

pub use settings::{IntakeSettings, Settings};

/// Starts the loops as tasks of `context`.
///
/// # Errors
/// When settings cannot be used.
pub async fn wire(context: Context, settings: Settings) -> Result<(), BoxError> {
    settings.check()?;
    let kafka = settings.kafka.clone();
    let intake = Arc::new(Intake::new(&context, settings)?);
    register_checks(&context, &intake);
    registry::follow(&context, &intake).await;
    let ending = Arc::clone(&intake);
    context.at_end(async move { ending.letters.close().await });
    let running = Arc::clone(&intake);
    context.spawn("announcements", async move { running.run(&kafka).await });
    Ok(())
}

fn register_checks(context: &Context, intake: &Arc<Intake>) {
    service::database::register(
        context,
        &intake.store,
        |store| async move { store.check().await },
        |store| {
            let pool = store.pool_state();
            Connections { open: pool.open, idle: pool.idle }
        },
    );
    let blobs = intake.blobs.clone();
    context.health().register("object-storage", move || {
        let blobs = blobs.clone();
        async move { blobs.check().await }
    });
    let intake = Arc::clone(intake);
    context.health().register("kafka", move || {
        let intake = Arc::clone(&intake);
        async move {
            intake.letters.check(&intake.announce.topic).await?;
            intake.letters.check(&intake.announce.dead_letter_topic).await
        }
    });
}
