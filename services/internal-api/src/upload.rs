//! An application delivers its data (S0-18, S0-47c, S0-48).
//!
//! Invariant: 202 is answered only after the object and the row that points at it are durable.

use std::panic::resume_unwind;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_ENCODING, HeaderMap},
    rt, web,
};
use bytes::Bytes;
use domain::ResourceState;
use futures_util::{Stream, TryStreamExt as _, future::Either};
use receive::{DeliveryError, inflate};
use service::http::{self, BodyLimits, BodyStream, ErrorBody};
use store::AnswerOutcome;
use tracing::Instrument as _;

use crate::{
    api::Api,
    application::CallingApplication,
    error::{ApiError, BodyError},
    target::{self, SourcePath},
};

/// Takes the data of a source, sized or chunked, of any Content-Type.
#[utoipa::path(post, path = "/app/export/v1/{export_id}/{application}/{resource_id}/upload", tag = "answers",
    security(("application-key" = []), ("application-token" = [])),
    params(
        ("export_id" = uuid::Uuid, Path, description = "The export."),
        ("application" = String, Path, description = "The calling application; may be percent-encoded twice."),
        ("resource_id" = uuid::Uuid, Path, description = "The source that is answered."),
        ("Content-Encoding" = Option<String>, Header, description = "gzip or identity.")),
    request_body(content_type = "application/octet-stream", content = Vec<u8>),
    responses(
        (status = 202, description = "Delivered: the data is durable.", content_type = "text/plain"),
        (status = 400, description = "The key is missing, an id is no UUID, or the body is broken.", body = ErrorBody),
        (status = 401, description = "The key is wrong, or the token is.", body = ErrorBody),
        (status = 403, description = "The key, the token or the source is another application's.", body = ErrorBody),
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
    let delivered = match resource.state {
        ResourceState::Pending => {
            let receiver = api.receiver.clone();
            let delivery = async move { receiver.deliver(path.place(), resource.csv, body, limit).await };
            to_its_end(async { Ok(delivery.await) }).await?
        }
        ResourceState::Complete(known) => api.receiver.expect_same(known.uploaded(), body, limit).await,
        ResourceState::Failed(_) => Err(DeliveryError::AlreadyProcessed),
    };
    delivered.map_err(|error| not_delivered(&api, path, error))?;
    Ok(HttpResponse::Accepted().content_type("text/plain; charset=utf-8").body("payload delivered"))
}

/// Runs a delivery to its end, whatever becomes of the connection: a reset takes its handler with it, and what
/// was begun has to be given up then as well.
pub(crate) async fn to_its_end<T: 'static>(
    delivery: impl Future<Output = Result<T, ApiError>> + 'static,
) -> Result<T, ApiError> {
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
) -> Result<impl Stream<Item = Result<Bytes, BodyError>> + use<>, ApiError> {
    let received = BodyStream::new(payload.into_inner(), limits, u64::MAX).map_err(BodyError::Received);
    Ok(match content_coding(req.headers())? {
        ContentCoding::Identity => Either::Left(received),
        ContentCoding::Gzip => Either::Right(inflate(received)),
    })
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentCoding {
    Identity,
    Gzip,
}

/// The one coding that a request names. Names of codings have no case (RFC 9110, section 8.4.1).
pub(crate) fn content_coding(headers: &HeaderMap) -> Result<ContentCoding, ApiError> {
    let mut codings = headers.get_all(CONTENT_ENCODING).map(|value| value.as_bytes().trim_ascii());
    let (coding, another) = (codings.next().unwrap_or_default(), codings.next());
    match coding.to_ascii_lowercase().as_slice() {
        b"" | b"identity" if another.is_none() => Ok(ContentCoding::Identity),
        b"gzip" | b"x-gzip" if another.is_none() => Ok(ContentCoding::Gzip),
        _ => Err(ApiError::UnknownEncoding),
    }
}

/// What a delivery for the source at `path` that failed is answered with.
pub(crate) fn not_delivered(api: &Api, path: SourcePath, error: DeliveryError<http::BodyError>) -> ApiError {
    match error {
        DeliveryError::NoExport => ApiError::NoExport(path.export_id),
        DeliveryError::NoResource => ApiError::NoResource(path.resource_id),
        DeliveryError::AlreadyProcessed => ApiError::AlreadyProcessed(api.duplicate_upload_status),
        DeliveryError::TooLarge(limit) => ApiError::TooLarge(limit),
        DeliveryError::LeaseLost => ApiError::LeaseLost,
        DeliveryError::Body(error) => ApiError::Body(error),
        DeliveryError::Store(error) => ApiError::Store(error),
        DeliveryError::Storage(error) => ApiError::Storage(error),
        DeliveryError::Journal(error) => ApiError::Journal(error),
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
