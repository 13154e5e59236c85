//! A client gives its resumable upload up (extension termination).

use actix_web::{HttpRequest, HttpResponse, web};
use service::http::ErrorBody;

use super::{
    error::ResumableError,
    upload_path::{UploadPath, find_source},
};
use crate::{api::Api, application::CallingApplication, error::ApiError, target::SourcePath};

/// Ends a resumable upload. What it has brought is deleted, and its source stays open.
#[utoipa::path(delete, path = "/app/export/v1/{export_id}/{application}/{resource_id}/uploads/{upload_id}",
    tag = "answers", security(("application-key" = []), ("application-token" = [])),
    params(
        ("export_id" = uuid::Uuid, Path, description = "The export."),
        ("application" = String, Path, description = "The calling application; may be percent-encoded twice."),
        ("resource_id" = uuid::Uuid, Path, description = "The source that is answered."),
        ("upload_id" = uuid::Uuid, Path, description = "The upload."),
        ("Tus-Resumable" = String, Header, description = "1.0.0")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "The key is missing, or an id is no UUID.", body = ErrorBody),
        (status = 401, description = "The key is wrong.", body = ErrorBody),
        (status = 403, description = "The key or the source is another application's.", body = ErrorBody),
        (status = 404, description = "There is no such export, source or upload.", body = ErrorBody),
        (status = 410, description = "It has settled the source, or the source was answered otherwise.",
            body = ErrorBody),
        (status = 412, description = "Another version of the protocol.", body = ErrorBody),
        (status = 503, description = "Try again.", body = ErrorBody)))]
pub(crate) async fn terminate_upload(
    api: web::Data<Api>,
    caller: CallingApplication,
    path: SourcePath,
    id: UploadPath,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    find_source(&api, &caller, path, &req).await?;
    if api.store.find_resumable(path.export_id, path.resource_id, id.0).await?.is_none() {
        return Err(ResumableError::NoUpload(id.0).into());
    }
    if !api.store.end_resumable(id.0, api.clock.now()).await? {
        return Err(ApiError::AlreadyProcessed(api.duplicate_upload_status));
    }
    api.resumable_uploads.inc(["terminated"]);
    Ok(HttpResponse::NoContent().finish())
}
