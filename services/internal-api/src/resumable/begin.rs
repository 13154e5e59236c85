//! A resumable upload is begun (extensions creation, creation-with-upload, creation-defer-length).

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::LOCATION,
    web::{self, Payload},
};
use blobs::object_key;
use domain::ids::UploadId;
use service::http::{BodyLimits, ErrorBody};
use store::NewResumableUpload;
use uuid::Uuid;

use super::{appending::Appending, headers, limit, pieces::append, upload_path::find_source};
use crate::{
    api::Api, application::CallingApplication, error::ApiError, target::SourcePath, upload::to_its_end,
};

/// Begins an upload that can be resumed, by tus 1.0.0. The body may hold its first bytes, as a PATCH would.
#[utoipa::path(post, path = "/app/export/v1/{export_id}/{application}/{resource_id}/uploads", tag = "answers",
    security(("application-key" = []), ("application-token" = [])),
    params(
        ("export_id" = uuid::Uuid, Path, description = "The export."),
        ("application" = String, Path, description = "The calling application; may be percent-encoded twice."),
        ("resource_id" = uuid::Uuid, Path, description = "The source that is answered."),
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Length" = Option<u64>, Header, description = "How many bytes there will be."),
        ("Upload-Defer-Length" = Option<u64>, Header, description = "1: a later PATCH tells the length."),
        ("Upload-Metadata" = Option<String>, Header, description = "Kept, and given back by HEAD.")),
    request_body(content_type = "application/offset+octet-stream", content = Vec<u8>),
    responses(
        (status = 201, description = "The upload goes on at `Location`, from `Upload-Offset`."),
        (status = 400, description = "The key or a length is missing, or a header is wrong.", body = ErrorBody),
        (status = 401, description = "The key is wrong.", body = ErrorBody),
        (status = 403, description = "The key or the source is another application's.", body = ErrorBody),
        (status = 404, description = "There is no such export or source.", body = ErrorBody),
        (status = 410, description = "The source was answered otherwise.", body = ErrorBody),
        (status = 412, description = "Another version of the protocol.", body = ErrorBody),
        (status = 413, description = "The data is too large; the source has failed.", body = ErrorBody),
        (status = 503, description = "Nothing was taken; try again.", body = ErrorBody)))]
pub(crate) async fn begin_resumable_upload(
    api: web::Data<Api>,
    caller: CallingApplication,
    path: SourcePath,
    limits: web::Data<BodyLimits>,
    req: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let resource = find_source(&api, &caller, path, &req).await?;
    let (length_bytes, metadata) = (headers::length(req.headers())?, headers::metadata(req.headers())?);
    let limit = api.max_upload_bytes(&caller.0, &resource.resource)?;
    limit::check(&api, path, length_bytes, limit).await?;
    let (upload, expires_at) = (UploadId::random(), api.clock.now() + api.resumable_expiry);
    let appending = Appending::first(&req, path, upload, resource.csv, limit, length_bytes)?;
    begin(&api, path, upload, length_bytes, metadata).await?;
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, format!("{}/{upload}", req.path())));
    let offset_bytes = match appending {
        Some(appending) => {
            let body = appending.body(payload, &limits);
            to_its_end(async move { append(&api, appending, body).await }).await?
        }
        None => 0,
    };
    headers::progress(&mut response, offset_bytes, expires_at);
    Ok(response.finish())
}

async fn begin(
    api: &Api,
    path: SourcePath,
    id: UploadId,
    length_bytes: Option<u64>,
    metadata: Option<String>,
) -> Result<(), ApiError> {
    let now = api.clock.now();
    let upload = NewResumableUpload {
        id,
        export_id: path.export_id,
        resource_id: path.resource_id,
        object_key: object_key(path.export_id, Uuid::from(id).into()).as_str().to_owned(),
        length_bytes,
        metadata,
        counts_until: now + api.resumable_pause,
        expires_at: now + api.resumable_expiry,
    };
    api.store.begin_resumable(upload).await?;
    api.resumable_uploads.inc(["begun"]);
    Ok(())
}
