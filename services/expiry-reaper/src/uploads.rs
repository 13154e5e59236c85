//! Uploads whose process died, past their lease, and resumable ones that expired, or cannot finish, hand over
//! what they have stored.

use service::{
    Context,
    worker::{Outcome, Worker},
};
use store::StoreError;

use crate::Reaper;

/// Starts the loop.
pub(crate) fn start(context: &Context, reaper: &Reaper) {
    let ended = context.metrics().counter("reaper_uploads_total", "Unfinished uploads given up.", []);
    let reaper = reaper.clone();
    Worker::new("uploads", reaper.settings.poll.as_duration()).start(context, move || {
        let (reaper, ended) = (reaper.clone(), ended.clone());
        async move {
            let (now, batch) = (reaper.clock.now(), reaper.settings.batch);
            let resumable = reaper.store.expire_resumables(now, batch).await?;
            let uploads = reaper.store.expire_uploads(now, batch).await? + resumable;
            if uploads == 0 {
                return Ok::<_, StoreError>(Outcome::Idle);
            }
            service::failpoint!("expiry-reaper::uploads-ended");
            ended.add([], uploads as u64);
            Ok(Outcome::Done)
        }
    });
}
