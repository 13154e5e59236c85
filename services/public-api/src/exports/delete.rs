//! `DELETE /exports/{id}` (S0-24).

use actix_web::{HttpResponse, web};
use service::http::ErrorBody;

use super::path::ExportPath;
use crate::{api::Api, caller::Caller, error::ApiError};

/// Deletes an export, also while it runs: from here on it does not exist, and its data goes soon.
#[utoipa::path(delete, path = "/api/export/v1/exports/{export_id}", tag = "exports", security(("identity" = [])),
    params(("export_id" = uuid::Uuid, Path, description = "The export.")),
    responses(
        (status = 202, description = "It is gone."),
        (status = 400, description = "Not a UUID, or the identity is missing.",
            content((ErrorBody = "application/json"), (String = "text/plain"))),
        (status = 401, description = "The key of the calling service is wrong.", body = ErrorBody),
        (status = 404, description = "The caller has no such export.", body = ErrorBody),
        (status = 429, description = "Too many calls.", body = ErrorBody),
        (status = 503, description = "Try again.", body = ErrorBody)))]
pub(crate) async fn delete_export(
    api: web::Data<Api>,
    caller: Caller,
    export: ExportPath,
) -> Result<HttpResponse, ApiError> {
    if api.store.delete_export(caller.owner(), export.0, api.clock.now()).await? {
        service::failpoint!("public-api::deleted");
        Ok(HttpResponse::Accepted().finish())
    } else {
        Err(ApiError::NotFound(export.0))
    }
}
