//! What a client is told that waits before it sends data of a resumable upload (S0-24, RFC 9110 section 10.1.1).

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use super::upload_path::{UploadPath, find_source, find_upload};
use crate::{api::Api, application::CallingApplication, error::ApiError, target::SourcePath};

/// Answers 100 to who begins an upload and brings its first bytes along, or what he would be refused with whatever
/// they are.
pub(super) async fn may_begin(
    api: web::Data<Api>,
    caller: CallingApplication,
    path: SourcePath,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    find_source(&api, &caller, path, &req).await?;
    Ok(HttpResponse::new(StatusCode::CONTINUE))
}

/// The same for who adds to one. Whether the offset is right is seen when the bytes are there: another request may
/// end meanwhile.
pub(super) async fn may_append(
    api: web::Data<Api>,
    caller: CallingApplication,
    path: SourcePath,
    id: UploadPath,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    find_source(&api, &caller, path, &req).await?;
    find_upload(&api, path, id).await?;
    Ok(HttpResponse::new(StatusCode::CONTINUE))
}
