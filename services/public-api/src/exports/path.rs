//! The export and the source that a path names.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use domain::ids::{ExportId, ResourceId};
use service::http::{Fact, note};

use crate::error::ApiError;

/// Most characters of a wrong id that are repeated in the answer.
const MAX_ECHOED_CHARS: usize = 64;

/// The `{export_id}` of a path. Handlers take it as an argument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExportPath(pub(crate) ExportId);

impl FromRequest for ExportPath {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = req.match_info().query("export_id");
        let id = text.parse().map_err(|_| ApiError::NotAnExportId(excerpt(text)));
        ready(id.inspect(|id| note(Fact::Export, id)).map(Self))
    }
}

/// The `{source_id}` of a path. Handlers take it as an argument.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourcePath(pub(crate) ResourceId);

impl FromRequest for SourcePath {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = req.match_info().query("source_id");
        ready(text.parse().map(Self).map_err(|_| ApiError::NotASourceId(excerpt(text))))
    }
}

fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_ECHOED_CHARS).collect()
}
