//! Sources that nobody answers fail, so that every export ends (S0-deadline).

use domain::SharedClock;
use service::{
    Context,
    worker::{Outcome, Worker},
};
use store::{Store, StoreError};

use crate::settings::DispatcherSettings;

/// Most exports looked at in one step.
const BATCH: u32 = 100;

/// Starts the loop.
pub(crate) fn start(context: &Context, store: &Store, settings: &DispatcherSettings) {
    let (store, clock) = (store.clone(), context.clock().clone());
    Worker::new("deadlines", settings.deadline_poll.as_duration())
        .start(context, move || step(store.clone(), clock.clone()));
}

async fn step(store: Store, clock: SharedClock) -> Result<Outcome, StoreError> {
    let exports = store.fail_overdue(clock.now(), BATCH).await?;
    if exports == 0 {
        return Ok(Outcome::Idle);
    }
    tracing::info!(exports, "sources failed because nobody answered in time");
    Ok(Outcome::Done)
}
