//! An application that waits before it sends its data is told first whether anybody wants it: of an export that was
//! deleted not a byte is sent (S0-24, RFC 9110 section 10.1.1).

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use domain::ResourceState;

use crate::{
    api::Api,
    application::CallingApplication,
    error::ApiError,
    target::{self, SourcePath},
    upload::content_coding,
};

/// Answers 100, or what the upload would be answered with whatever its body is. A source that is complete is
/// answered 100: only the body tells whether the same is delivered again.
pub(crate) async fn may_upload(
    api: web::Data<Api>,
    caller: CallingApplication,
    path: SourcePath,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let resource = target::find(&api, &caller, path).await?;
    content_coding(req.headers())?;
    match resource.state {
        ResourceState::Pending | ResourceState::Complete(_) => Ok(HttpResponse::new(StatusCode::CONTINUE)),
        ResourceState::Failed(_) => Err(ApiError::AlreadyProcessed(api.duplicate_upload_status)),
    }
}
