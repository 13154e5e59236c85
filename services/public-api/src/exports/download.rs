//! `GET` and `HEAD /exports/{id}`: the archive (S0-46).

use actix_web::{HttpRequest, HttpResponse, web};
use domain::{Manifest, Owner, ids::ExportId};
use service::http::ErrorBody;
use store::Downloadable;

use super::{path::ExportPath, serve_archive::serve_archive};
use crate::{api::Api, caller::Caller, error::ApiError};

/// Streams the archive, or the part of it that `Range` asks for.
#[utoipa::path(method(get, head), path = "/api/export/v1/exports/{export_id}", tag = "exports",
    security(("identity" = [])),
    params(
        ("export_id" = uuid::Uuid, Path, description = "The export."),
        ("Range" = Option<String>, Header, description = "One range of bytes; several are answered with 200."),
        ("If-Range" = Option<String>, Header, description = "The ETag of the archive that Range is about."),
        ("If-Match" = Option<String>, Header, description = "Only if the archive has this ETag."),
        ("If-None-Match" = Option<String>, Header, description = "Only if the archive has another ETag.")),
    responses(
        (status = 200, description = "The archive.", content_type = "application/zip"),
        (status = 206, description = "The part of it that Range asks for.", content_type = "application/zip"),
        (status = 304, description = "It still has the ETag of If-None-Match."),
        (status = 400, description = "Not a UUID, not ready, every source failed, or the identity is missing.",
            content((ErrorBody = "application/json"), (String = "text/plain"))),
        (status = 401, description = "The key of the calling service is wrong.", body = ErrorBody),
        (status = 404, description = "The caller has no such export.", body = ErrorBody),
        (status = 410, description = "It has expired.", body = ErrorBody),
        (status = 412, description = "It does not have the ETag of If-Match.", body = ErrorBody),
        (status = 416, description = "The range is not within it.", body = ErrorBody),
        (status = 429, description = "Too many calls.", body = ErrorBody),
        (status = 503, description = "Try again.", body = ErrorBody)))]
pub(crate) async fn download_export(
    api: web::Data<Api>,
    caller: Caller,
    export: ExportPath,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let manifest = find_manifest(&api, caller.owner(), export.0).await?;
    serve_archive(&api.blobs, &manifest, &req).await
}

async fn find_manifest(api: &Api, owner: Owner, id: ExportId) -> Result<Manifest, ApiError> {
    match api.store.find_download(owner, id, api.clock.now()).await? {
        Downloadable::Ready(manifest) => Ok(*manifest),
        Downloadable::NotFound => Err(ApiError::NotFound(id)),
        Downloadable::Expired => Err(ApiError::Expired(id)),
        Downloadable::NotReady => Err(ApiError::NotReady(id)),
        Downloadable::AllFailed => Err(ApiError::AllFailed(id)),
    }
}
