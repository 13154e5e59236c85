//! `POST /exports/{id}/sources/{source}/retry` (S0-retry).

use actix_web::{HttpResponse, web};
use domain::{
    RequestEvent,
    ids::{ExportId, ResourceId},
};
use service::http::ErrorBody;
use store::{Retry, RetryOutcome, RetrySource};

use super::{
    path::{ExportPath, SourcePath},
    view::StatusBody,
};
use crate::{api::Api, caller::Caller, error::ApiError};

/// Has a failed source asked once more, with a new event: the source is pending, and the export runs again. The other
/// sources stay as they are; the archive can be downloaded again, as a new one, once this source has settled.
#[utoipa::path(post, path = "/api/export/v1/exports/{export_id}/sources/{source_id}/retry", tag = "exports",
    security(("identity" = [])),
    params(
        ("export_id" = uuid::Uuid, Path, description = "The export."),
        ("source_id" = uuid::Uuid, Path, description = "The source that failed.")),
    responses(
        (status = 202, description = "It is asked once more.", body = StatusBody),
        (status = 400, description = "Not a UUID, or the identity is missing.",
            content((ErrorBody = "application/json"), (String = "text/plain"))),
        (status = 401, description = "The key of the calling service is wrong.", body = ErrorBody),
        (status = 404, description = "The caller has no such export, or it no such source.", body = ErrorBody),
        (status = 406, description = "The application or resource is no longer offered.", body = ErrorBody),
        (status = 409, description = "The source has not failed.", body = ErrorBody),
        (status = 410, description = "The export or the source has expired.", body = ErrorBody),
        (status = 413, description = "With this identity the source is too large to be asked for.", body = ErrorBody),
        (status = 429, description = "Too many calls.", body = ErrorBody),
        (status = 503, description = "Nothing was changed; try again.", body = ErrorBody)))]
pub(crate) async fn retry_source(
    api: web::Data<Api>,
    caller: Caller,
    export: ExportPath,
    source: SourcePath,
) -> Result<HttpResponse, ApiError> {
    ask_once_more(&api, &caller, export.0, source.0).await?;
    service::failpoint!("public-api::retried");
    // After the commit, and outside of it: it only saves the dispatcher a wait.
    api.wakeup.wake();
    let found = api.find_export(caller.owner(), export.0).await?;
    Ok(HttpResponse::Accepted().json(StatusBody::from(found)))
}

async fn ask_once_more(api: &Api, caller: &Caller, export: ExportId, id: ResourceId) -> Result<(), ApiError> {
    let known = api.registry.current()?;
    let (events, asking) = (api.events.clone(), api.asking);
    let source = RetrySource {
        owner: caller.owner(),
        export_id: export,
        resource_id: id,
        identity: caller.0.raw.clone(),
    };
    let ask = move |event: &RequestEvent| -> Result<Retry, ApiError> {
        let (application, resource) = (event.application.as_str(), event.resource.as_str());
        let offer = known.registry.find(application, resource, event.format)?;
        Ok(Retry { record: events.render(event)?, asking: asking.of(offer.entry) })
    };
    match api.store.retry_source(source, api.clock.now(), ask).await? {
        RetryOutcome::Asked => Ok(()),
        RetryOutcome::NoExport => Err(ApiError::NotFound(export)),
        RetryOutcome::NoSource => Err(ApiError::NoSource(id)),
        RetryOutcome::Expired => Err(ApiError::Expired(export)),
        RetryOutcome::NotFailed => Err(ApiError::NotFailed(id)),
        RetryOutcome::Refused(error) => Err(error),
    }
}
