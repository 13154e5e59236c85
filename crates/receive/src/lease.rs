//! The lease of a delivery: its row of the attempt, renewed while bytes come in.

use std::time::Duration;

use blobs::{JournalError, UploadJournal};
use domain::ids::AttemptId;
use futures_util::pin_mut;
use store::{AnswerTarget, Store};

use crate::{
    error::DeliveryError,
    receiver::{Place, Receiver},
};

impl Receiver {
    /// Runs `upload` and renews the lease of its attempt meanwhile. A lease that is gone ends the upload: nobody
    /// wants its bytes, or they are being deleted already.
    pub(crate) async fn while_leased<T, E>(
        &self,
        place: Place,
        attempt: AttemptId,
        upload: impl Future<Output = T>,
    ) -> Result<T, DeliveryError<E>> {
        let every = (self.lease / 3).to_std().unwrap_or(Duration::from_secs(20));
        pin_mut!(upload);
        loop {
            if let Ok(uploaded) = tokio::time::timeout(every, &mut upload).await {
                return Ok(uploaded);
            }
            match self.store.renew_upload(attempt, self.clock.now() + self.lease).await {
                Ok(true) => {}
                Ok(false) => {
                    self.abandon(attempt).await;
                    return Err(self.without_lease(place).await);
                }
                // The next round tries again; the lease lasts for three.
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "an upload's lease was not renewed");
                }
                Err(error) => return Err(error.into()),
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

    pub(crate) async fn abandon(&self, attempt: AttemptId) {
        if let Err(error) = self.store.abandon_upload(attempt, self.clock.now()).await {
            // Its lease will run out, and the expiry-reaper does the same.
            tracing::warn!(%error, "an upload was not given up at once");
        }
    }
}

/// Notes the store's id of a multipart upload in the attempt's row.
pub(crate) struct Journal {
    pub(crate) store: Store,
    pub(crate) attempt: AttemptId,
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
