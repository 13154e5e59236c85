//! The upload that a path names, and what every request for one must show.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use domain::{Resource, ResourceState, ids::UploadId};
use store::ResumableUpload;

use super::{
    error::ResumableError,
    headers::{self, VERSION},
};
use crate::{
    api::Api,
    application::CallingApplication,
    error::ApiError,
    target::{self, SourcePath, excerpt},
};

/// The `{upload_id}` of a path. Handlers take it as an argument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadPath(pub(crate) UploadId);

impl FromRequest for UploadPath {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = req.match_info().query("upload_id");
        let parsed = id.parse().map(Self).map_err(|_| ResumableError::NotAnUploadId(excerpt(id)).into());
        ready(parsed)
    }
}

/// The source that is uploaded, as any upload would find it, for a client that speaks our version.
///
/// # Errors
/// As [`target::find`]; 410 when the source has failed; 412.
pub(super) async fn find_source(
    api: &Api,
    caller: &CallingApplication,
    path: SourcePath,
    req: &HttpRequest,
) -> Result<Resource, ApiError> {
    let resource = target::find(api, caller, path).await?;
    if headers::text(req.headers(), "Tus-Resumable") != Some(VERSION) {
        return Err(ResumableError::OtherVersion.into());
    }
    match resource.state {
        ResourceState::Failed(_) => Err(ApiError::AlreadyProcessed(api.duplicate_upload_status)),
        // The same bytes once more are welcome; whether they are is seen at their end.
        ResourceState::Pending | ResourceState::Complete(_) => Ok(resource),
    }
}

/// The upload `id` for the source at `path`, as it stands.
///
/// # Errors
/// 404; 410 when it was not continued in time.
pub(super) async fn find_upload(
    api: &Api,
    path: SourcePath,
    id: UploadPath,
) -> Result<ResumableUpload, ApiError> {
    let found = api.store.find_resumable(path.export_id, path.resource_id, id.0).await?;
    let upload = found.ok_or(ResumableError::NoUpload(id.0))?;
    if upload.expires_at <= api.clock.now() {
        return Err(ResumableError::Expired(id.0).into());
    }
    Ok(upload)
}
