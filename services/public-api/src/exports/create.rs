//! `POST /exports` (S0-25 to S0-30, S0-42).

use std::collections::HashMap;

use access::Identity;
use actix_web::{HttpResponse, web};
use domain::{ExportDraft, Record, RequestEvent};
use serde_json::Value;
use service::http::{BodyLimits, ErrorBody, Fact, note, read_json};
use store::{CreateExport, FoundExport};

use super::view::StatusBody;
use crate::{api::Api, caller::Caller, error::ApiError};

/// Accepts an export: 202 once it, its sources and the records that ask for them are durable.
#[utoipa::path(post, path = "/api/export/v1/exports", tag = "exports", security(("identity" = [])),
    request_body(content_type = "application/json", content = CreateBody),
    responses(
        (status = 202, description = "Accepted: every source will be asked.", body = StatusBody),
        (status = 400, description = "The body is not a request, or the identity is missing.",
            content((ErrorBody = "application/json"), (String = "text/plain"))),
        (status = 401, description = "The key of the calling service is wrong.", body = ErrorBody),
        (status = 406, description = "An application or resource is not offered.", body = ErrorBody),
        (status = 408, description = "The body arrives too slowly.", body = ErrorBody),
        (status = 413, description = "The body, the sources or one source is too large.", body = ErrorBody),
        (status = 429, description = "Too many calls.", body = ErrorBody),
        (status = 503, description = "Nothing was accepted; try again.", body = ErrorBody)))]
pub(crate) async fn create_export(
    api: web::Data<Api>,
    caller: Caller,
    limits: web::Data<BodyLimits>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body: Value = read_json(payload.into_inner(), &limits, api.max_body_bytes).await?;
    let created = create(&api, caller.0, &body).await?;
    Ok(HttpResponse::Accepted().json(StatusBody::from(created)))
}

/// What is asked for; unknown keys are ignored.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes what domain::ExportDraft::parse reads")]
pub(crate) struct CreateBody {
    /// 1 to 255 characters, no control characters.
    name: String,
    /// `json` or `csv`.
    #[schema(pattern = "^(json|csv)$")]
    format: String,
    /// Seven days from now when absent.
    expires_at: Option<chrono::DateTime<chrono::Utc>>,
    #[schema(min_items = 1, max_items = 1000)]
    sources: Vec<CreateSource>,
}

/// One source that is asked for.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes what domain::ExportDraft::parse reads")]
pub(crate) struct CreateSource {
    application: String,
    resource: String,
    /// When its file leaves the archive; the export's expiry when absent or later.
    expires: Option<chrono::DateTime<chrono::Utc>>,
    /// Passed on to the application as they are.
    filters: Option<serde_json::Map<String, Value>>,
    /// What is done to its CSV; in exports of other formats nothing can be.
    csv: Option<CreateCsv>,
}

/// What is done to the CSV of a source, for people who open it in a spreadsheet. What is not given is as the
/// registry has it: by default nothing.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes what domain::CsvOptions::requested reads")]
pub(crate) struct CreateCsv {
    /// A cell that a spreadsheet would run as a formula gets a `'` before it; numbers stay numbers.
    formula_guard: Option<bool>,
    /// The file begins with a UTF-8 byte order mark.
    bom: Option<bool>,
}

async fn create(api: &Api, identity: Identity, body: &Value) -> Result<FoundExport, ApiError> {
    let draft =
        ExportDraft::parse(body, &api.registry.current()?.registry, &api.create_limits, api.clock.now())?;
    let records = request_records(api, &draft, &identity)?;
    let create = CreateExport::new(&draft, identity.owner, identity.raw, records, api.asking);
    api.store.create_export(create).await?;
    service::failpoint!("public-api::created");
    // After the commit, and outside of it: it only saves the dispatcher a wait.
    api.wakeup.wake();
    let (export, resources) = draft.into_pending();
    note(Fact::Export, export.id);
    Ok(FoundExport { export, resources, received_bytes: HashMap::new() })
}

/// The records that ask for the sources, checked as they will be sent.
fn request_records(api: &Api, draft: &ExportDraft, identity: &Identity) -> Result<Vec<Record>, ApiError> {
    let render = |event: RequestEvent| api.events.render(&event).map_err(ApiError::from);
    draft.request_events(&identity.owner.org_id, &identity.raw).map(render).collect()
}
