//! From the body of a request to durable pieces of an upload.

use blobs::{HashState, ObjectKey, StoredObject, object_key};
use bytes::Bytes;
use chrono::TimeDelta;
use domain::{ResourceState, StoredData, UploadedData, ids::AttemptId};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use receive::{DeliveryError, Received, change_piece, limit_after};
use service::http::HttpError;
use store::{
    AnswerOutcome, AnswerTarget, ChangeState, FinishedPiece, NewAttempt, PieceBegin, PieceOutcome,
    PieceRequest, PieceStart,
};

use super::{
    appending::Appending,
    cut_body::{CutBody, Next},
    error::ResumableError,
    folded, limit,
};
use crate::{
    api::Api,
    error::{ApiError, BodyError},
    target::SourcePath,
    upload::{not_delivered, refused},
};

/// How long a piece may be written at most without a sign of life of this process before another request may
/// take its place. Short, because the clients in the field try again for ten seconds only.
const LONGEST_LEASE: TimeDelta = TimeDelta::seconds(8);

/// A piece under way.
struct Piece {
    attempt: AttemptId,
    key: ObjectKey,
    /// How many bytes were durable when it was begun.
    offset_bytes: u64,
    start: PieceStart,
}

/// A piece that is stored, and what to go on from behind it.
struct Stored {
    object: StoredObject,
    hash: HashState,
    /// What of the upload has come until its end and where to go on from, when its CSV is changed.
    changed: Option<(UploadedData, ChangeState)>,
}

/// Adds `body` to an upload and returns how many bytes of that are durable then.
///
/// # Errors
/// Why not all of it was added; what was committed until then stays.
pub(super) async fn append<S>(api: &Api, appending: Appending, mut body: CutBody<S>) -> Result<u64, ApiError>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
{
    let mut offset = appending.offset_bytes;
    loop {
        let Some(piece) = begin(api, &appending, offset).await? else { return Ok(offset) };
        refuse_too_long(api, &appending, &piece).await?;
        let Some(stored) = try_store(api, &appending, &piece, &mut body).await? else {
            if body.is_over() {
                break;
            }
            // Nobody is kept from the upload meanwhile.
            body.is_at_end().await;
            continue;
        };
        service::failpoint!("internal-api::piece-stored");
        offset = stored.ends_at(&piece);
        let finished = commit(api, &appending, piece, stored).await?;
        service::failpoint!("internal-api::piece-committed");
        if finished || body.is_at_end().await {
            break;
        }
    }
    body.check()?;
    Ok(offset)
}

/// Begins a piece; None when the upload is finished and was just asked to go on behind its end.
async fn begin(api: &Api, appending: &Appending, offset_bytes: u64) -> Result<Option<Piece>, ApiError> {
    let (attempt, path, now) = (AttemptId::random(), appending.path, api.clock.now());
    let key = object_key(path.export_id, attempt);
    let request = PieceRequest {
        upload: appending.upload,
        attempt: NewAttempt {
            id: attempt,
            export_id: path.export_id,
            resource_id: path.resource_id,
            object_key: key.as_str().to_owned(),
            lease_expires_at: now + lease(api),
        },
        offset_bytes,
        length_bytes: appending.length_bytes,
        body_bytes: appending.body_bytes,
    };
    let refusal = match api.store.begin_piece(request, now).await? {
        PieceBegin::Begun(start) => return Ok(Some(Piece { attempt, key, offset_bytes, start })),
        PieceBegin::Finished => return Ok(None),
        PieceBegin::NotFound => return Err(why_gone(api, appending).await),
        PieceBegin::Expired => ResumableError::Expired(appending.upload),
        PieceBegin::Busy => ResumableError::Busy,
        PieceBegin::OtherOffset(offset) => ResumableError::OtherOffset(offset),
        PieceBegin::OtherLength => ResumableError::OtherLength,
    };
    Err(refusal.into())
}

/// Ends an upload whose length is above the limit by now: the registry allowed it when it was begun.
async fn refuse_too_long(api: &Api, appending: &Appending, piece: &Piece) -> Result<(), ApiError> {
    if piece.start.length_bytes.is_none_or(|length| length <= appending.limit.bytes()) {
        return Ok(());
    }
    api.receiver.abandon(piece.attempt).await;
    Err(end_too_large(api, appending).await)
}

/// Ends an upload and fails its source because there are more bytes than the limit.
async fn end_too_large(api: &Api, appending: &Appending) -> ApiError {
    match api.store.end_resumable(appending.upload, api.clock.now()).await {
        Ok(_) => limit::fail(api, appending.path, appending.limit).await,
        Err(error) => error.into(),
    }
}

/// What a request is told whose upload is gone: it was terminated, or its source has failed meanwhile.
async fn why_gone(api: &Api, appending: &Appending) -> ApiError {
    let (SourcePath { export_id, resource_id }, now) = (appending.path, api.clock.now());
    match api.store.find_answer_target(export_id, resource_id, now).await {
        Ok(AnswerTarget::Found { resource, .. }) if matches!(resource.state, ResourceState::Failed(_)) => {
            ApiError::AlreadyProcessed(api.duplicate_upload_status)
        }
        Ok(_) => ResumableError::NoUpload(appending.upload).into(),
        Err(error) => error.into(),
    }
}

fn lease(api: &Api) -> TimeDelta {
    api.receiver.lease().min(LONGEST_LEASE)
}

/// As [`store`], for as long as the attempt has its lease. Without an object the attempt is over.
async fn try_store<S>(
    api: &Api,
    appending: &Appending,
    piece: &Piece,
    body: &mut CutBody<S>,
) -> Result<Option<Stored>, ApiError>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
{
    let (place, received) = (appending.path.place(), Received::from_bytes(piece.offset_bytes));
    let storing = store(api, appending, piece, body, &received);
    let stored = api.receiver.while_wanted(place, piece.attempt, lease(api), &received, storing).await;
    let stored = stored.map_err(|error| not_delivered(api, appending.path, error))?;
    if !matches!(stored, Ok(Some(_))) {
        api.receiver.abandon(piece.attempt).await;
    }
    match stored {
        Err(ApiError::TooLarge(_)) if piece.start.length_bytes.is_some() => {
            Err(ResumableError::BeyondLength.into())
        }
        Err(ApiError::TooLarge(_)) => Err(end_too_large(api, appending).await),
        stored => stored,
    }
}

/// Stores the next bytes of `body` as an object; None when none come, and none are needed to finish.
async fn store<S>(
    api: &Api,
    appending: &Appending,
    piece: &Piece,
    body: &mut CutBody<S>,
    received: &Received,
) -> Result<Option<Stored>, ApiError>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Unpin,
{
    let Piece { attempt, key, offset_bytes, start } = piece;
    match body.next().await {
        Next::End if start.length_bytes == Some(*offset_bytes) => {}
        Next::End | Next::Silence => return Ok(None),
        Next::Bytes => {}
    }
    let before = start.sha256_state.as_deref().map_or(Ok(HashState::default()), HashState::from_bytes);
    let before = before.map_err(HttpError::internal)?;
    let whole = body.has_checksum();
    let arriving = body.piece(if whole { u64::MAX } else { api.resumable_piece.bytes() });
    let arriving = arriving.inspect_ok(|bytes| received.add(bytes.len()));
    let most = start.length_bytes.unwrap_or(appending.limit.bytes());
    let (folded, journal) = (folded::read_back(api, &start.folded), api.receiver.journal(*attempt));
    let stored = if appending.csv.any() {
        let (state, ends_at) = (start.change.as_ref(), start.length_bytes);
        let change = change_piece(arriving, appending.csv, *offset_bytes, state, ends_at, most);
        let (data, changed) = change.map_err(HttpError::internal)?;
        let data = folded.chain(data);
        let stored = Box::pin(api.blobs.put_piece(key, data, limit_after(most), &journal, before)).await;
        stored.map(|(object, hash)| Stored { object, hash, changed: changed.take() })
    } else {
        let most = most.saturating_sub(start.begins_at);
        let data = folded.chain(arriving);
        let stored = Box::pin(api.blobs.put_piece(key, data, most, &journal, before)).await;
        stored.map(|(object, hash)| Stored { object, hash, changed: None })
    };
    let stored = stored
        .map_err(|error| not_delivered(api, appending.path, DeliveryError::of_put(error, appending.limit)))?;
    if whole {
        // Nothing of it counts before all of it has arrived as it should.
        body.check()?;
    }
    Ok(Some(stored))
}

impl Stored {
    /// How many bytes of the upload there are with it.
    fn ends_at(&self, piece: &Piece) -> u64 {
        match &self.changed {
            Some((uploaded, _)) => uploaded.size_bytes,
            None => piece.start.begins_at + self.object.size_bytes,
        }
    }

    fn data(self, piece: &Piece) -> (StoredData, Vec<u8>, Option<ChangeState>) {
        let Self { object, hash, changed } = self;
        let (uploaded, change) = changed.unzip();
        let of_piece = |all: UploadedData| UploadedData {
            size_bytes: all.size_bytes.saturating_sub(piece.start.begins_at),
            ..all
        };
        let data = StoredData {
            object_key: object.key.as_str().to_owned(),
            size_bytes: object.size_bytes,
            stored_bytes: object.stored_bytes,
            crc32: object.crc32,
            sha256: object.sha256,
            changed_from: uploaded.map(of_piece),
        };
        (data, hash.to_bytes(), change)
    }
}

/// Makes a piece count. True when it was the last, and the source has its answer.
async fn commit(api: &Api, appending: &Appending, piece: Piece, stored: Stored) -> Result<bool, ApiError> {
    let (path, now) = (appending.path, api.clock.now());
    let (data, sha256_state, change) = stored.data(&piece);
    let finished = FinishedPiece {
        upload: appending.upload,
        attempt: piece.attempt,
        export_id: path.export_id,
        resource_id: path.resource_id,
        position: piece.start.position,
        data,
        sha256_state,
        change,
        counts_until: now + api.resumable_pause,
        expires_at: now + api.resumable_expiry,
    };
    let outcome = match api.store.commit_piece(finished, now).await {
        Ok(outcome) => outcome,
        Err(error) => {
            // Else it would keep others from the upload for the rest of its lease.
            api.receiver.abandon(piece.attempt).await;
            return Err(error.into());
        }
    };
    match outcome {
        PieceOutcome::Kept => Ok(false),
        PieceOutcome::NoUpload => Err(why_gone(api, appending).await),
        PieceOutcome::Answered(AnswerOutcome::Settled(status)) => {
            tracing::info!(export.id = %path.export_id, resource.id = %path.resource_id,
                upload.id = %appending.upload, export.status = %status, "data delivered");
            api.resumable_uploads.inc(["finished"]);
            Ok(true)
        }
        PieceOutcome::Answered(AnswerOutcome::Repeated) => Ok(true),
        PieceOutcome::Answered(refusal) => Err(refused(api, path, refusal)),
    }
}
