//! How far a resumable upload is, and what of the protocol is spoken here.

use actix_web::{HttpRequest, HttpResponse, http::header::CACHE_CONTROL, web};
use service::http::ErrorBody;

use super::{
    checksum,
    headers::{self, EXTENSIONS},
    upload_path::{UploadPath, find_source, find_upload},
};
use crate::{
    api::Api,
    application::CallingApplication,
    error::ApiError,
    target::{self, SourcePath},
};

/// Tells how much of a resumable upload is durable.
#[utoipa::path(head, path = "/app/export/v1/{export_id}/{application}/{resource_id}/uploads/{upload_id}",
    tag = "answers", security(("application-key" = []), ("application-token" = [])),
    params(
        ("export_id" = uuid::Uuid, Path, description = "The export."),
        ("application" = String, Path, description = "The calling application; may be percent-encoded twice."),
        ("resource_id" = uuid::Uuid, Path, description = "The source that is answered."),
        ("upload_id" = uuid::Uuid, Path, description = "The upload."),
        ("Tus-Resumable" = String, Header, description = "1.0.0")),
    responses(
        (status = 200, description = "`Upload-Offset` says it; all of it: the source is settled."),
        (status = 400, description = "The key is missing, or an id is no UUID."),
        (status = 401, description = "The key is wrong."),
        (status = 403, description = "The key or the source is another application's."),
        (status = 404, description = "There is no such export, source or upload."),
        (status = 410, description = "The source was answered otherwise, or the upload has expired."),
        (status = 412, description = "Another version of the protocol."),
        (status = 503, description = "Try again.")))]
pub(crate) async fn resumable_offset(
    api: web::Data<Api>,
    caller: CallingApplication,
    path: SourcePath,
    id: UploadPath,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    find_source(&api, &caller, path, &req).await?;
    let upload = find_upload(&api, path, id).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    headers::progress(&mut response, upload.offset_bytes, upload.expires_at);
    match upload.length_bytes {
        Some(length) => response.insert_header(("Upload-Length", length)),
        None => response.insert_header(("Upload-Defer-Length", 1)),
    };
    if let Some(metadata) = upload.metadata {
        response.insert_header(("Upload-Metadata", metadata));
    }
    Ok(response.finish())
}

/// Tells which parts of the protocol are spoken, and how large an upload may be.
#[utoipa::path(options, path = "/app/export/v1/{export_id}/{application}/{resource_id}/uploads", tag = "answers",
    security(("application-key" = []), ("application-token" = [])),
    params(
        ("export_id" = uuid::Uuid, Path, description = "The export."),
        ("application" = String, Path, description = "The calling application; may be percent-encoded twice."),
        ("resource_id" = uuid::Uuid, Path, description = "The source that is answered.")),
    responses(
        (status = 204, description = "The headers `Tus-…` say it."),
        (status = 400, description = "The key is missing, or an id is no UUID.", body = ErrorBody),
        (status = 401, description = "The key is wrong.", body = ErrorBody),
        (status = 403, description = "The key or the source is another application's.", body = ErrorBody),
        (status = 404, description = "There is no such export or source.", body = ErrorBody),
        (status = 503, description = "Try again.", body = ErrorBody)))]
pub(crate) async fn resumable_options(
    api: web::Data<Api>,
    caller: CallingApplication,
    path: SourcePath,
) -> Result<HttpResponse, ApiError> {
    let resource = target::find(&api, &caller, path).await?;
    let limit = api.max_upload_bytes(&caller.0, &resource.resource)?;
    Ok(HttpResponse::NoContent()
        .insert_header(("Tus-Extension", EXTENSIONS))
        .insert_header(("Tus-Checksum-Algorithm", checksum::ALGORITHMS))
        .insert_header(("Tus-Max-Size", limit.bytes()))
        .finish())
}
