//! From a stream of bytes to a settled source.
//!
//! Invariant: it returns only after the object and the row that points at it are durable.

use blobs::{PutError, StoredObject, object_key};
use bytes::Bytes;
use domain::{ByteSize, CsvOptions, SourceError, StoredData, UploadedData, ids::AttemptId};
use futures_util::{Stream, TryStreamExt as _};
use store::{AnswerOutcome, NewAttempt, StoreError};

use crate::{
    csv,
    error::{DeliveryError, UploadError, in_customary_units},
    lease::Received,
    receiver::{Place, Receiver},
};

impl Receiver {
    /// Stores `body`, of at most `limit` bytes, as a new object, with its CSV changed as `csv` says, and settles the
    /// source at `place` with it. The same bytes once more change nothing and are welcome (S0-47c).
    ///
    /// It should run to its end: what it has begun is given up at once then, and else when its lease ends.
    ///
    /// # Errors
    /// [`DeliveryError`]. The source stays open but for `TooLarge`, with which it has failed.
    pub async fn deliver<E>(
        &self,
        place: Place,
        csv: CsvOptions,
        body: impl Stream<Item = Result<Bytes, UploadError<E>>>,
        limit: ByteSize,
    ) -> Result<(), DeliveryError<E>> {
        let attempt = AttemptId::random();
        let key = object_key(place.export_id, attempt);
        self.store
            .begin_upload(NewAttempt {
                id: attempt,
                export_id: place.export_id,
                resource_id: place.resource_id,
                object_key: key.as_str().to_owned(),
                lease_expires_at: self.clock.now() + self.lease,
            })
            .await?;
        service::failpoint!("receive::upload-begun");
        let journal = self.journal(attempt);
        let received = Received::default();
        let body = body.inspect_ok(|chunk| received.add(chunk.len()));
        let upload = csv::put_gzip(&self.blobs, &key, body, csv, limit, &journal);
        match self.while_wanted::<_, E>(place, attempt, self.lease, &received, upload).await? {
            Ok((stored, changed_from)) => {
                service::failpoint!("receive::object-stored");
                self.settle(place, attempt, stored, changed_from).await
            }
            Err(error) => {
                let exceeded = matches!(error, PutError::TooLarge { .. }).then_some(limit);
                self.give_up(place, attempt, exceeded).await?;
                Err(DeliveryError::of_put(error, limit))
            }
        }
    }

    async fn settle<E>(
        &self,
        place: Place,
        attempt: AttemptId,
        stored: StoredObject,
        changed_from: Option<UploadedData>,
    ) -> Result<(), DeliveryError<E>> {
        let data = StoredData {
            object_key: stored.key.as_str().to_owned(),
            size_bytes: stored.size_bytes,
            stored_bytes: stored.stored_bytes,
            crc32: stored.crc32,
            sha256: stored.sha256,
            changed_from,
        };
        let now = self.clock.now();
        let outcome =
            self.store.answer_with_data(place.export_id, place.resource_id, attempt, data, now).await?;
        service::failpoint!("receive::settled");
        match outcome {
            AnswerOutcome::Settled(status) => {
                tracing::info!(export.id = %place.export_id, resource.id = %place.resource_id,
                    export.status = %status, size_bytes = stored.size_bytes, "data delivered");
                Ok(())
            }
            AnswerOutcome::Repeated => Ok(()),
            AnswerOutcome::NoExport => Err(DeliveryError::NoExport),
            AnswerOutcome::NoResource => Err(DeliveryError::NoResource),
            AnswerOutcome::LeaseLost => Err(DeliveryError::LeaseLost),
            AnswerOutcome::Conflict => Err(DeliveryError::AlreadyProcessed),
        }
    }

    /// Ends an attempt that failed. Data above the limit `exceeded` settles the source; anything else leaves it
    /// open, so that a retry can succeed.
    async fn give_up(
        &self,
        place: Place,
        attempt: AttemptId,
        exceeded: Option<ByteSize>,
    ) -> Result<(), StoreError> {
        self.abandon(attempt).await;
        if let Some(limit) = exceeded {
            let reason = SourceError::too_large(&in_customary_units(limit));
            let now = self.clock.now();
            self.store.answer_with_error(place.export_id, place.resource_id, reason, now).await?;
        }
        Ok(())
    }
}
