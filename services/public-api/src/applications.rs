//! `GET /applications`: what customers may ask for (S0-apps).

use actix_web::{
    HttpResponse,
    http::header::CACHE_CONTROL,
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use domain::{
    ApplicationName, ExportFormat, ResourceName,
    registry::{Application, Registry},
};
use serde::Serialize;
use service::http::ErrorBody;
use utoipa::ToSchema;

use crate::{
    api::Api,
    caller::{Caller, Callers},
    error::ApiError,
};

/// Adds the route; it needs a caller.
pub(crate) fn add(app: &mut ServiceConfig, callers: &Callers) {
    let callers = callers.clone();
    let identify = from_fn(move |req, next| {
        let callers = callers.clone();
        async move { callers.identify(req, next).await }
    });
    app.service(web::resource("/applications").route(web::get().to(list_applications)).wrap(identify));
}

/// The applications that can be asked for data, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Applications {
    data: Vec<OfferedApplication>,
}

/// An application, for people who choose what to export.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfferedApplication {
    /// As a request names it.
    application: String,
    /// What to show people; the name where the application gave no other.
    title: String,
    /// How to view the data, who may access it, and how to ask for access. May be empty.
    documentation: String,
    /// Where there is more to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation_url: Option<String>,
    /// By name; never empty.
    resources: Vec<OfferedResource>,
}

/// A resource that can be asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfferedResource {
    /// As a request names it.
    resource: String,
    /// What to show people; the name where the application gave no other.
    title: String,
    /// The formats it comes in: `json`, `csv` or both.
    formats: Vec<&'static str>,
}

/// Lists the applications and resources that a request may name, without those that have nothing to export.
#[utoipa::path(get, path = "/api/export/v1/applications", tag = "applications", security(("identity" = [])),
    responses(
        (status = 200, description = "What may be asked for.", body = Applications),
        (status = 400, description = "The identity is missing.", content_type = "text/plain", body = String),
        (status = 401, description = "The key of the calling service is wrong.", body = ErrorBody),
        (status = 429, description = "Too many calls.", body = ErrorBody),
        (status = 503, description = "Try again.", body = ErrorBody)))]
pub(crate) async fn list_applications(api: web::Data<Api>, _: Caller) -> Result<HttpResponse, ApiError> {
    let known = api.registry.current()?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .json(Applications { data: offered(&known.registry) }))
}

fn offered(registry: &Registry) -> Vec<OfferedApplication> {
    registry
        .applications()
        .filter(|(_, entry)| !entry.resources.is_empty())
        .map(|(name, entry)| offered_application(name, entry))
        .collect()
}

fn offered_application(name: &ApplicationName, entry: &Application) -> OfferedApplication {
    OfferedApplication {
        application: name.to_string(),
        title: title_or(&entry.title, name.as_str()),
        documentation: entry.documentation.clone(),
        documentation_url: Some(entry.documentation_url.clone()).filter(|url| !url.is_empty()),
        resources: entry.resources.iter().map(|(name, entry)| offered_resource(name, entry)).collect(),
    }
}

fn offered_resource(name: &ResourceName, entry: &domain::registry::Resource) -> OfferedResource {
    let formats = [ExportFormat::Json, ExportFormat::Csv];
    OfferedResource {
        resource: name.to_string(),
        title: title_or(&entry.title, name.as_str()),
        formats: formats
            .into_iter()
            .filter(|format| entry.offers(*format))
            .map(ExportFormat::as_str)
            .collect(),
    }
}

fn title_or(title: &str, name: &str) -> String {
    if title.is_empty() { name.to_owned() } else { title.to_owned() }
}
