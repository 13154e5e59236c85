//! The export that a path names.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use domain::ids::ExportId;
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

fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_ECHOED_CHARS).collect()
}
