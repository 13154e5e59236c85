//! More of a resumable upload arrives.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Payload},
};
use service::http::{BodyLimits, ErrorBody};

use super::{
    appending::Appending,
    error::ResumableError,
    headers, limit,
    pieces::append,
    upload_path::{UploadPath, find_source},
};
use crate::{
    api::Api, application::CallingApplication, error::ApiError, target::SourcePath, upload::to_its_end,
};

/// Adds to a resumable upload. With its last byte the source is settled. When the connection breaks, what has
/// arrived counts, unless the request has a checksum.
#[utoipa::path(patch, path = "/app/export/v1/{export_id}/{application}/{resource_id}/uploads/{upload_id}",
    tag = "answers", security(("application-key" = []), ("application-token" = [])),
    params(
        ("export_id" = uuid::Uuid, Path, description = "The export."),
        ("application" = String, Path, description = "The calling application; may be percent-encoded twice."),
        ("resource_id" = uuid::Uuid, Path, description = "The source that is answered."),
        ("upload_id" = uuid::Uuid, Path, description = "The upload."),
        ("Tus-Resumable" = String, Header, description = "1.0.0"),
        ("Upload-Offset" = u64, Header, description = "Where the body goes on."),
        ("Upload-Length" = Option<u64>, Header, description = "How many bytes there will be, if that was open."),
        ("Upload-Checksum" = Option<String>, Header, description = "sha1 or sha256 of the body, in base64.")),
    request_body(content_type = "application/offset+octet-stream", content = Vec<u8>),
    responses(
        (status = 204, description = "Durable up to `Upload-Offset`; with the last byte, delivered."),
        (status = 400, description = "The key is missing, or a header or the body is wrong.", body = ErrorBody),
        (status = 401, description = "The key is wrong.", body = ErrorBody),
        (status = 403, description = "The key or the source is another application's.", body = ErrorBody),
        (status = 404, description = "There is no such export, source or upload.", body = ErrorBody),
        (status = 408, description = "The body arrives too slowly; what has arrived counts.", body = ErrorBody),
        (status = 409, description = "The upload goes on elsewhere: ask with HEAD.", body = ErrorBody),
        (status = 410, description = "The source was answered otherwise, or the upload has expired.",
            body = ErrorBody),
        (status = 412, description = "Another version of the protocol.", body = ErrorBody),
        (status = 413, description = "The data is too large; the source has failed.", body = ErrorBody),
        (status = 415, description = "Another Content-Type, or a Content-Encoding.", body = ErrorBody),
        (status = 423, description = "Another request is adding to the upload: try again.", body = ErrorBody),
        (status = 460, description = "The checksum is not that of the body, which does not count.",
            body = ErrorBody),
        (status = 503, description = "Try again from the offset that HEAD tells.", body = ErrorBody)))]
pub(crate) async fn append_to_upload(
    api: web::Data<Api>,
    caller: CallingApplication,
    path: SourcePath,
    upload: UploadPath,
    limits: web::Data<BodyLimits>,
    req: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let resource = find_source(&api, &caller, path, &req).await?;
    if !headers::is_data(req.headers()) {
        return Err(ResumableError::OtherMediaType.into());
    }
    let limit = api.max_upload_bytes(&caller.0, &resource.resource)?;
    let appending = Appending::next(&req, path, upload.0, resource.csv, limit)?;
    limit::check(&api, path, appending.length_bytes, limit).await?;
    let (body, expires_at) = (appending.body(payload, &limits), api.clock.now() + api.resumable_expiry);
    let offset_bytes = to_its_end(async move { append(&api, appending, body).await }).await?;
    let mut response = HttpResponse::NoContent();
    headers::progress(&mut response, offset_bytes, expires_at);
    Ok(response.finish())
}
