//! Deletes from object storage what was handed over.
//!
//! Deleting twice does no harm, so a reaper that dies in between leaves nothing to repair: the lease ends,
//! and another deletes again.

use blobs::{ObjectKey, StorageError};
use domain::ids::LeaseToken;
use futures_util::{StreamExt as _, stream};
use service::{
    BoxError, Context,
    metrics::Counter,
    worker::{Outcome, Worker},
};
use store::ObjectDeletion;

use crate::Reaper;

/// Requests to the store under way at once.
const CONCURRENCY: usize = 8;

/// Starts the loop.
pub(crate) fn start(context: &Context, reaper: &Reaper) {
    let deleted =
        context.metrics().counter("reaper_objects_total", "Objects deleted from object storage.", []);
    let reaper = reaper.clone();
    Worker::new("objects", reaper.settings.poll.as_duration())
        .start(context, move || step(reaper.clone(), deleted.clone()));
}

async fn step(reaper: Reaper, deleted: Counter<0>) -> Result<Outcome, BoxError> {
    let (token, now) = (LeaseToken::random(), reaper.clock.now());
    let lease_expires_at = now + reaper.settings.lease.as_time_delta();
    let leased =
        reaper.store.lease_object_deletions(token, now, lease_expires_at, reaper.settings.batch).await?;
    if leased.is_empty() {
        return Ok(Outcome::Idle);
    }
    service::failpoint!("expiry-reaper::objects-leased");
    let results: Vec<_> = stream::iter(leased)
        .map(|object| attempt(reaper.clone(), object))
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    service::failpoint!("expiry-reaper::objects-deleted");
    let mut failed = None;
    let mut gone = Vec::with_capacity(results.len());
    for (key, result) in results {
        match result {
            Ok(()) => gone.push(key),
            Err(error) => failed = Some(error),
        }
    }
    deleted.add([], gone.len() as u64);
    reaper.store.finish_object_deletions(token, gone).await?;
    failed.map_or(Ok(Outcome::Done), Err)
}

async fn attempt(reaper: Reaper, object: ObjectDeletion) -> (String, Result<(), BoxError>) {
    let result = delete(&reaper, &object).await;
    (object.object_key, result)
}

async fn delete(reaper: &Reaper, object: &ObjectDeletion) -> Result<(), BoxError> {
    let key: ObjectKey = object.object_key.parse()?;
    if let Some(upload_id) = &object.store_upload_id {
        match reaper.blobs.abort(&key, upload_id).await {
            Ok(()) | Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match reaper.blobs.delete(&key).await {
        Ok(()) | Err(StorageError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
