//! `GET /exports` (S0-44).

use actix_web::{HttpRequest, HttpResponse, http::header::CACHE_CONTROL, web};
use domain::{ListQuery, PageLinks};
use service::http::ErrorBody;

use super::view::ListBody;
use crate::{api::Api, caller::Caller, error::ApiError};

/// Lists the caller's exports, expired ones included.
#[utoipa::path(get, path = "/api/export/v1/exports", tag = "exports", security(("identity" = [])),
    params(
        ("name" = Option<String>, Query, description = "Exact name."),
        ("status" = Option<String>, Query, description = "Exact status."),
        ("application" = Option<String>, Query, description = "Exact application of a source."),
        ("resource" = Option<String>, Query, description = "Exact resource of a source."),
        ("created_at" = Option<String>, Query, description = "Day or moment; one day from it, both ends included."),
        ("expires_at" = Option<String>, Query, description = "Day or moment; one day from it, both ends included."),
        ("offset" = Option<u64>, Query, description = "How many to skip; 0 when absent."),
        ("limit" = Option<u64>, Query, maximum = 1000, description = "How many to list; 100 when absent."),
        ("sort" = Option<String>, Query, description = "name, created, created_at, expires or expires_at."),
        ("dir" = Option<String>, Query, description = "asc or desc.")),
    responses(
        (status = 200, description = "One page.", body = ListBody),
        (status = 400, description = "A parameter is wrong, or the identity is missing.",
            content((ErrorBody = "application/json"), (String = "text/plain"))),
        (status = 401, description = "The key of the calling service is wrong.", body = ErrorBody),
        (status = 429, description = "Too many calls.", body = ErrorBody),
        (status = 503, description = "Try again.", body = ErrorBody)))]
pub(crate) async fn list_exports(
    api: web::Data<Api>,
    caller: Caller,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = ListQuery::parse(req.query_string())?;
    let page = api.store.list_exports(caller.owner(), query.clone()).await?;
    let links = PageLinks::new(req.path(), req.query_string(), &query, page.count);
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(ListBody::new(page, links)))
}
