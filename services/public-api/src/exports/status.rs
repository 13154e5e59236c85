//! `GET /exports/{id}/status` (S0-status, S0-41).

use actix_web::{HttpResponse, http::header::CACHE_CONTROL, web};
use service::http::ErrorBody;

use super::{path::ExportPath, view::StatusBody};
use crate::{api::Api, caller::Caller, error::ApiError};

/// Tells how far an export has come, also after its expiry, until its row is purged.
#[utoipa::path(get, path = "/api/export/v1/exports/{export_id}/status", tag = "exports", security(("identity" = [])),
    params(("export_id" = uuid::Uuid, Path, description = "The export.")),
    responses(
        (status = 200, description = "How far it has come.", body = StatusBody),
        (status = 400, description = "Not a UUID, or the identity is missing.",
            content((ErrorBody = "application/json"), (String = "text/plain"))),
        (status = 401, description = "The key of the calling service is wrong.", body = ErrorBody),
        (status = 404, description = "The caller has no such export.", body = ErrorBody),
        (status = 429, description = "Too many calls.", body = ErrorBody),
        (status = 503, description = "Try again.", body = ErrorBody)))]
pub(crate) async fn export_status(
    api: web::Data<Api>,
    caller: Caller,
    export: ExportPath,
) -> Result<HttpResponse, ApiError> {
    let found = api.find_export(caller.owner(), export.0).await?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(StatusBody::from(found)))
}
