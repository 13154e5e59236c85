//! From the body of a request to durable pieces of an upload.

use std::error::Error;

use archive::zip::Segment;
use blobs::{HashState, ObjectKey, StoredObject, object_key};
use bytes::Bytes;
use chrono::TimeDelta;
use domain::{StoredData, StoredPiece, ids::AttemptId};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future::Either, stream};
use receive::{DeliveryError, Received, inflate};
use service::http::HttpError;
use store::{AnswerOutcome, FinishedPiece, NewAttempt, PieceBegin, PieceOutcome, PieceRequest, PieceStart};

use super::{ResumableError, appending::Appending, cut_body::CutBody, limit};
use crate::{
    api::Api,
    error::{ApiError, BodyError},
    upload::refused,
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

/// The bytes of a piece that is stored, and the hash to go on from.
type Stored = (StoredObject, HashState);

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
        let Some(stored) = try_store(api, &appending, &piece, &mut body).await? else { break };
        service::failpoint!("internal-api::piece-stored");
        offset = piece.start.begins_at + stored.0.size_bytes;
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
        PieceBegin::NotFound => ResumableError::NoUpload(appending.upload),
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
    let stored = stored.map_err(|error| ApiError::of_delivery(api, appending.path, error))?;
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

/// Stores the next bytes of `body` as an object; None when there are none, and none are needed to finish.
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
    if body.is_at_end().await && start.length_bytes != Some(*offset_bytes) {
        return Ok(None);
    }
    let before = start.sha256_state.as_deref().map_or(Ok(HashState::default()), HashState::from_bytes);
    let before = before.map_err(HttpError::internal)?;
    let most = start.length_bytes.unwrap_or(appending.limit.bytes()).saturating_sub(start.begins_at);
    let whole = body.has_checksum();
    let arriving = body.piece(if whole { u64::MAX } else { api.resumable_piece.bytes() });
    let data = read_back(api, &start.folded).chain(arriving.inspect_ok(|bytes| received.add(bytes.len())));
    let stored = api.blobs.put_piece(key, data, most, &api.receiver.journal(*attempt), before).await;
    let stored = stored.map_err(|error| {
        ApiError::of_delivery(api, appending.path, DeliveryError::of_put(error, appending.limit))
    })?;
    if whole {
        // Nothing of it counts before all of it has arrived as it should.
        body.check()?;
    }
    Ok(Some(stored))
}

/// The data of pieces that the next one takes in. Such pieces are small and few.
fn read_back(api: &Api, folded: &[StoredPiece]) -> impl Stream<Item = Result<Bytes, BodyError>> + use<> {
    if folded.is_empty() {
        return Either::Left(stream::empty());
    }
    let segments = folded
        .iter()
        .map(|piece| Segment::Object { key: piece.object_key.as_str().into(), range: 0..piece.stored_bytes });
    let (blobs, segments) = (api.blobs.clone(), segments.collect());
    let bytes = stream::once(async move { blobs.open(segments).await }).try_flatten();
    let bytes = bytes.map_err(|error| interrupted(&error)).boxed_local();
    Either::Right(inflate(bytes).map_err(|error| match error {
        BodyError::NotGzip(error) => interrupted(&error),
        error => error,
    }))
}

fn interrupted(error: &(dyn Error + 'static)) -> BodyError {
    tracing::error!(error, "a piece of an upload cannot be read back");
    BodyError::Interrupted
}

/// Makes a piece count. True when it was the last, and the source has its answer.
async fn commit(
    api: &Api,
    appending: &Appending,
    piece: Piece,
    (stored, hash): Stored,
) -> Result<bool, ApiError> {
    let (path, now) = (appending.path, api.clock.now());
    let finished = FinishedPiece {
        upload: appending.upload,
        attempt: piece.attempt,
        export_id: path.export_id,
        resource_id: path.resource_id,
        position: piece.start.position,
        data: StoredData {
            object_key: stored.key.as_str().to_owned(),
            size_bytes: stored.size_bytes,
            stored_bytes: stored.stored_bytes,
            crc32: stored.crc32,
            sha256: stored.sha256,
            changed_from: None,
        },
        sha256_state: hash.to_bytes(),
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
        PieceOutcome::NoUpload => Err(ResumableError::NoUpload(appending.upload).into()),
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
