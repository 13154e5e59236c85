//! The lease of a delivery: its row of the attempt, renewed while bytes come in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use blobs::{JournalError, UploadJournal};
use chrono::TimeDelta;
use domain::ids::AttemptId;
use futures_util::{
    future::{Either, select},
    pin_mut,
};
use store::{AnswerTarget, Store, StoreError};
use tokio::time::{Instant, sleep};

use crate::{
    error::DeliveryError,
    receiver::{Place, Receiver},
};

/// How often the row of an attempt is written at most: its lease, or how far its upload has come.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// How many bytes an upload has received so far, before compression.
#[derive(Debug, Clone, Default)]
pub struct Received(Arc<AtomicU64>);

impl Received {
    /// Goes on from `bytes` that came before.
    pub fn from_bytes(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// Counts `bytes` more.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Receiver {
    /// Runs `upload` and keeps its attempt meanwhile: its `lease` is renewed, and how far it has come is noted, both
    /// beside the upload, which waits for neither. A lease that is gone ends the upload: nobody wants its bytes, or
    /// they are being deleted already. An upload that receives bytes ends within about a second of the deletion of
    /// its export, one whose client is silent when its lease is renewed next.
    ///
    /// # Errors
    /// [`DeliveryError`] of an upload that was ended; its attempt is given up then.
    pub async fn while_wanted<T, E>(
        &self,
        place: Place,
        attempt: AttemptId,
        lease: TimeDelta,
        received: &Received,
        upload: impl Future<Output = T>,
    ) -> Result<T, DeliveryError<E>> {
        let unwanted = self.until_unwanted(attempt, lease, received);
        pin_mut!(upload, unwanted);
        let ended = match select(upload, unwanted).await {
            Either::Left((uploaded, _)) => return Ok(uploaded),
            Either::Right((ended, _)) => ended,
        };
        ended?;
        self.abandon(attempt).await;
        Err(self.without_lease(place).await)
    }

    /// Where the upload of `attempt` is noted.
    pub fn journal(&self, attempt: AttemptId) -> Journal {
        Journal { store: self.store.clone(), attempt }
    }

    /// Ends when the attempt is gone, or its lease cannot be renewed by a defect.
    async fn until_unwanted(
        &self,
        attempt: AttemptId,
        lease: TimeDelta,
        received: &Received,
    ) -> Result<(), StoreError> {
        let renew_every = (lease / 3).to_std().unwrap_or(Duration::from_secs(20));
        let look_every = renew_every.min(NOTE_EVERY);
        let (mut renew_at, mut noted) = (Instant::now() + renew_every, 0);
        loop {
            sleep(look_every).await;
            let bytes = received.0.load(Ordering::Relaxed);
            // The next look would be too late.
            let is_wanted = if Instant::now() + look_every > renew_at {
                (renew_at, noted) = (Instant::now() + renew_every, bytes);
                self.store.renew_upload(attempt, self.clock.now() + lease, bytes).await
            } else if bytes > noted {
                noted = bytes;
                // Whatever is wrong, it costs the customer a figure, and not the application its upload.
                self.store.note_received(attempt, bytes).await.or_else(|error| {
                    tracing::debug!(%error, "how far an upload has come was not noted");
                    Ok(true)
                })
            } else {
                continue;
            };
            match is_wanted {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // The next round tries again; the lease lasts for three.
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "an upload's lease was not renewed");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Why an attempt has no lease any more: its export was deleted, or this process did not renew it in time, as
    /// when it was suspended; then a repeat is welcome.
    async fn without_lease<E>(&self, place: Place) -> DeliveryError<E> {
        let now = self.clock.now();
        match self.store.find_answer_target(place.export_id, place.resource_id, now).await {
            Ok(AnswerTarget::NoExport) => DeliveryError::NoExport,
            Ok(AnswerTarget::NoResource | AnswerTarget::Found { .. }) => DeliveryError::LeaseLost,
            Err(error) => error.into(),
        }
    }

    /// Gives an attempt up: what it has stored will be deleted.
    pub async fn abandon(&self, attempt: AttemptId) {
        if let Err(error) = self.store.abandon_upload(attempt, self.clock.now()).await {
            // Its lease will run out, and the expiry-reaper does the same.
            tracing::warn!(%error, "an upload was not given up at once");
        }
    }
}

/// Notes the store's id of a multipart upload in the attempt's row.
#[derive(Debug, Clone)]
pub struct Journal {
    store: Store,
    attempt: AttemptId,
}

impl UploadJournal for Journal {
    async fn multipart_started(&self, upload_id: &str) -> Result<(), JournalError> {
        if !self.store.note_multipart(self.attempt, upload_id.to_owned()).await? {
            return Err("the upload was given up".into());
        }
        service::failpoint!("receive::multipart-noted");
        Ok(())
    }
}
