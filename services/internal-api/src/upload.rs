//! An application delivers its data (S0-18, S0-47c, S0-48).
//!
//! Invariant: 202 is answered only after the object and the row that points at it are durable.

use std::{panic::resume_unwind, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_ENCODING, HeaderMap},
    rt, web,
};
use blobs::{JournalError, PutError, StoredObject, UploadJournal, object_key};
use bytes::Bytes;
use domain::{ByteSize, ResourceState, SourceError, StoredData, ids::AttemptId};
use futures_util::{Stream, TryStreamExt as _, future::Either, pin_mut};
use service::http::{BodyLimits, BodyStream, ErrorBody};
use store::{AnswerOutcome, AnswerTarget, NewAttempt, Store};
use tracing::Instrument as _;

use crate::{
    api::Api,
    application::CallingApplication,
    error::{ApiError, in_customary_units},
    inflate::{self, UploadError},
    repeat,
    target::{self, SourcePath},
};

/// Takes the data of a source, sized or chunked, of any Content-Type.
#[utoipa::path(post, path = "/app/export/v1/{export_id}/{application}/{resource_id}/upload", tag = "answers",
    security(("application-key" = [])),
    params(
        ("export_id" = uuid::Uuid, Path, description = "The export."),
        ("application" = String, Path, description = "The calling application; may be percent-encoded twice."),
        ("resource_id" = uuid::Uuid, Path, description = "The source that is answered."),
        ("Content-Encoding" = Option<String>, Header, description = "gzip or identity.")),
    request_body(content_type = "application/octet-stream", content = Vec<u8>),
    responses(
        (status = 202, description = "Delivered: the data is durable.", content_type = "text/plain"),
        (status = 400, description = "The key is missing, an id is no UUID, or the body is broken.", body = ErrorBody),
        (status = 401, description = "The key is wrong.", body = ErrorBody),
        (status = 403, description = "The key or the source is another application's.", body = ErrorBody),
        (status = 404, description = "There is no such export or source.", body = ErrorBody),
        (status = 408, description = "The body arrives too slowly; the source stays open.", body = ErrorBody),
        (status = 410, description = "The source was answered otherwise.", body = ErrorBody),
        (status = 413, description = "The data is too large; the source has failed.", body = ErrorBody),
        (status = 415, description = "An unknown Content-Encoding.", body = ErrorBody),
        (status = 503, description = "Nothing was taken; try again.", body = ErrorBody)))]
pub(crate) async fn upload(
    api: web::Data<Api>,
    caller: CallingApplication,
    path: SourcePath,
    limits: web::Data<BodyLimits>,
    req: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let resource = target::find(&api, &caller, path).await?;
    let body = body(&req, payload, &limits)?;
    let limit = api.max_upload_bytes(&caller.0, &resource.resource)?;
    match resource.state {
        ResourceState::Pending => to_its_end(async move { deliver(&api, path, body, limit).await }).await?,
        ResourceState::Complete(known) => repeat::expect_same(&api, &known, body, limit).await?,
        ResourceState::Failed(_) => return Err(ApiError::AlreadyProcessed(api.duplicate_upload_status)),
    }
    Ok(HttpResponse::Accepted().content_type("text/plain; charset=utf-8").body("payload delivered"))
}

/// Runs a delivery to its end, whatever becomes of the connection: a reset takes its handler with it, and what
/// was begun has to be given up then as well.
async fn to_its_end(delivery: impl Future<Output = Result<(), ApiError>> + 'static) -> Result<(), ApiError> {
    match rt::spawn(delivery.in_current_span()).await {
        Ok(delivered) => delivered,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The server stops.
            Err(_) => Err(ApiError::LeaseLost),
        },
    }
}

/// The identity bytes of a request. How many there may be is limited further on, where they are counted.
fn body(
    req: &HttpRequest,
    payload: web::Payload,
    limits: &BodyLimits,
) -> Result<impl Stream<Item = Result<Bytes, UploadError>> + use<>, ApiError> {
    let received = BodyStream::new(payload.into_inner(), limits, u64::MAX).map_err(UploadError::from);
    Ok(match content_coding(req.headers())? {
        ContentCoding::Identity => Either::Left(received),
        ContentCoding::Gzip => Either::Right(inflate::inflate(received)),
    })
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentCoding {
    Identity,
    Gzip,
}

/// The one coding that a request names. Names of codings have no case (RFC 9110, section 8.4.1).
fn content_coding(headers: &HeaderMap) -> Result<ContentCoding, ApiError> {
    let mut codings = headers.get_all(CONTENT_ENCODING).map(|value| value.as_bytes().trim_ascii());
    let (coding, another) = (codings.next().unwrap_or_default(), codings.next());
    match coding.to_ascii_lowercase().as_slice() {
        b"" | b"identity" if another.is_none() => Ok(ContentCoding::Identity),
        b"gzip" | b"x-gzip" if another.is_none() => Ok(ContentCoding::Gzip),
        _ => Err(ApiError::UnknownEncoding),
    }
}

/// Stores the body as a new object and settles the source with it.
async fn deliver(
    api: &Api,
    path: SourcePath,
    body: impl Stream<Item = Result<Bytes, UploadError>>,
    limit: ByteSize,
) -> Result<(), ApiError> {
    let attempt = AttemptId::random();
    let key = object_key(path.export_id, attempt);
    api.store
        .begin_upload(NewAttempt {
            id: attempt,
            export_id: path.export_id,
            resource_id: path.resource_id,
            object_key: key.as_str().to_owned(),
            lease_expires_at: api.clock.now() + api.upload_lease,
        })
        .await?;
    service::failpoint!("internal-api::upload-begun");
    let journal = Journal { store: api.store.clone(), attempt };
    let stored =
        while_leased(api, path, attempt, api.blobs.put_gzip(&key, body, limit.bytes(), &journal)).await;
    match stored {
        Ok(Ok(stored)) => {
            service::failpoint!("internal-api::object-stored");
            settle(api, path, attempt, stored).await
        }
        Ok(Err(error)) => {
            give_up(api, path, attempt, &error, limit).await?;
            Err(ApiError::of_put(error, limit))
        }
        Err(error) => Err(error),
    }
}

/// Runs `upload` and renews the lease of its attempt meanwhile. A lease that is gone ends the upload: nobody
/// wants its bytes, or they are being deleted already.
async fn while_leased<T>(
    api: &Api,
    path: SourcePath,
    attempt: AttemptId,
    upload: impl Future<Output = T>,
) -> Result<T, ApiError> {
    let every = (api.upload_lease / 3).to_std().unwrap_or(Duration::from_secs(20));
    pin_mut!(upload);
    loop {
        if let Ok(uploaded) = tokio::time::timeout(every, &mut upload).await {
            return Ok(uploaded);
        }
        match api.store.renew_upload(attempt, api.clock.now() + api.upload_lease).await {
            Ok(true) => {}
            Ok(false) => {
                abandon(api, attempt).await;
                return Err(without_lease(api, path).await);
            }
            // The next round tries again; the lease lasts for three.
            Err(error) if error.is_transient() => tracing::warn!(%error, "an upload's lease was not renewed"),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Why an attempt has no lease any more: its export was deleted, or this process did not renew it in time, as
/// when it was suspended; then a repeat is welcome.
async fn without_lease(api: &Api, path: SourcePath) -> ApiError {
    match api.store.find_answer_target(path.export_id, path.resource_id, api.clock.now()).await {
        Ok(AnswerTarget::NoExport) => ApiError::NoExport(path.export_id),
        Ok(AnswerTarget::NoResource | AnswerTarget::Found { .. }) => ApiError::LeaseLost,
        Err(error) => error.into(),
    }
}

async fn settle(
    api: &Api,
    path: SourcePath,
    attempt: AttemptId,
    stored: StoredObject,
) -> Result<(), ApiError> {
    let data = StoredData {
        object_key: stored.key.as_str().to_owned(),
        size_bytes: stored.size_bytes,
        stored_bytes: stored.stored_bytes,
        crc32: stored.crc32,
        sha256: stored.sha256,
    };
    let now = api.clock.now();
    let outcome = api.store.answer_with_data(path.export_id, path.resource_id, attempt, data, now).await?;
    service::failpoint!("internal-api::settled");
    match outcome {
        AnswerOutcome::Settled(status) => {
            tracing::info!(export.id = %path.export_id, resource.id = %path.resource_id,
                export.status = %status, size_bytes = stored.size_bytes, "data delivered");
            Ok(())
        }
        AnswerOutcome::Repeated => Ok(()),
        other => Err(refused(api, path, other)),
    }
}

/// Ends an attempt that failed. Data that is too large settles the source; anything else leaves it open, so
/// that a retry can succeed.
async fn give_up(
    api: &Api,
    path: SourcePath,
    attempt: AttemptId,
    error: &PutError<UploadError>,
    limit: ByteSize,
) -> Result<(), ApiError> {
    abandon(api, attempt).await;
    if matches!(error, PutError::TooLarge { .. }) {
        let reason = SourceError::too_large(&in_customary_units(limit));
        api.store.answer_with_error(path.export_id, path.resource_id, reason, api.clock.now()).await?;
    }
    Ok(())
}

async fn abandon(api: &Api, attempt: AttemptId) {
    if let Err(error) = api.store.abandon_upload(attempt, api.clock.now()).await {
        // Its lease will run out, and the expiry-reaper does the same.
        tracing::warn!(%error, "an upload was not given up at once");
    }
}

/// What an answer that did not settle its source is answered with.
pub(crate) fn refused(api: &Api, path: SourcePath, outcome: AnswerOutcome) -> ApiError {
    match outcome {
        AnswerOutcome::NoExport => ApiError::NoExport(path.export_id),
        AnswerOutcome::NoResource => ApiError::NoResource(path.resource_id),
        AnswerOutcome::LeaseLost => ApiError::LeaseLost,
        AnswerOutcome::Conflict | AnswerOutcome::Settled(_) | AnswerOutcome::Repeated => {
            ApiError::AlreadyProcessed(api.duplicate_upload_status)
        }
    }
}

/// Notes the store's id of a multipart upload in the attempt's row.
struct Journal {
    store: Store,
    attempt: AttemptId,
}

impl UploadJournal for Journal {
    async fn multipart_started(&self, upload_id: &str) -> Result<(), JournalError> {
        if !self.store.note_multipart(self.attempt, upload_id.to_owned()).await? {
            return Err("the upload was given up".into());
        }
        service::failpoint!("internal-api::multipart-noted");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn coding_of(values: &[&'static str]) -> Option<ContentCoding> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        content_coding(&headers).ok()
    }

    #[test]
    fn codings_are_known_in_any_case() {
        for identity in [&[][..], &[""], &["identity"], &["Identity"], &[" IDENTITY "]] {
            assert_eq!(coding_of(identity), Some(ContentCoding::Identity), "{identity:?}");
        }
        for gzip in ["gzip", "GZip", "x-gzip", "X-GZIP"] {
            assert_eq!(coding_of(&[gzip]), Some(ContentCoding::Gzip), "{gzip}");
        }
    }

    #[test]
    fn unknown_and_several_codings_are_refused() {
        for refused in [&["br"][..], &["gzip, gzip"], &["gzip", "gzip"], &["identity", "gzip"], &["", ""]] {
            assert_eq!(coding_of(refused), None, "{refused:?}");
        }
    }
}
