//! The source that a path names, and whether the caller may answer for it (S0-47, S0-47b).

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use domain::{
    Resource,
    ids::{ExportId, ResourceId},
};
use receive::Place;
use service::http::{Fact, note};
use store::AnswerTarget;

use crate::{api::Api, application::CallingApplication, error::ApiError};

/// A source in a path, in the order that clients of today use.
pub(crate) const SOURCE_FIRST: &str = "/{export_id}/{application}/{resource_id}";

/// Most characters of a wrong id that are repeated in the answer.
const MAX_ECHOED_CHARS: usize = 64;

/// The `{export_id}` and `{resource_id}` of a path. Handlers take it as an argument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourcePath {
    pub(crate) export_id: ExportId,
    pub(crate) resource_id: ResourceId,
}

impl SourcePath {
    /// The same, for whoever takes in its data.
    pub(crate) fn place(self) -> Place {
        Place { export_id: self.export_id, resource_id: self.resource_id }
    }
}

impl FromRequest for SourcePath {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let export = req.match_info().query("export_id");
        let resource = req.match_info().query("resource_id");
        ready(parse(export, resource))
    }
}

fn parse(export: &str, resource: &str) -> Result<SourcePath, ApiError> {
    let export_id = export.parse().map_err(|_| ApiError::NotAnExportId(excerpt(export)))?;
    note(Fact::Export, export_id);
    let resource_id = resource.parse().map_err(|_| ApiError::NotAResourceId(excerpt(resource)))?;
    Ok(SourcePath { export_id, resource_id })
}

/// What of a wrong id is repeated in the answer.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_ECHOED_CHARS).collect()
}

/// The source at `path`, if it is one of the calling application's.
///
/// # Errors
/// 404 where there is none, 403 when it is another application's.
pub(crate) async fn find(
    api: &Api,
    caller: &CallingApplication,
    path: SourcePath,
) -> Result<Resource, ApiError> {
    match api.store.find_answer_target(path.export_id, path.resource_id, api.clock.now()).await? {
        AnswerTarget::NoExport => Err(ApiError::NoExport(path.export_id)),
        AnswerTarget::NoResource => Err(ApiError::NoResource(path.resource_id)),
        AnswerTarget::Found { resource, .. } if resource.application != caller.0 => {
            Err(ApiError::OtherApplication)
        }
        AnswerTarget::Found { resource, .. } => Ok(*resource),
    }
}
