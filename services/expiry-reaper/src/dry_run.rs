//! Tells what would be done, and does nothing.

use service::{
    Context,
    worker::{Outcome, Worker},
};
use store::StoreError;

use crate::Reaper;

/// Starts the loop.
pub(crate) fn start(context: &Context, reaper: &Reaper) {
    let reaper = reaper.clone();
    Worker::new("dry-run", reaper.settings.poll.as_duration()).start(context, move || step(reaper.clone()));
}

async fn step(reaper: Reaper) -> Result<Outcome, StoreError> {
    let (settings, now) = (&reaper.settings, reaper.clock.now());
    let release_before = now - settings.grace.as_time_delta();
    let purge_before = now - settings.retention.as_time_delta();
    let plan = reaper.store.reap_plan(release_before, purge_before, now).await?;
    tracing::info!(
        deleted = plan.deleted,
        expired = plan.expired,
        expired_sources = plan.expired_sources,
        purges = plan.purges,
        uploads = plan.uploads,
        objects = plan.objects,
        "dry run: this much is due"
    );
    Ok(Outcome::Idle)
}
