//! `GET /registry` and `GET /registry/{application}`: what operators read of the applications.

use actix_web::{HttpResponse, http::header::CACHE_CONTROL, web};
use chrono::{DateTime, Utc};
use domain::{ApplicationName, registry::Application};
use serde::Serialize;
use serde_json::Value;
use service::http::ErrorBody;
use store::ApplicationKey;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{api::Api, error::ApiError, operator::Operator};

/// The registry at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegistryBody {
    /// Larger than that of any registry before.
    revision: i64,
    /// By name.
    data: Vec<ApplicationBody>,
}

/// An application, its settings as the registry file has them, and its keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApplicationBody {
    application: String,
    /// See `applications` in the reference of settings.
    #[schema(value_type = Object)]
    settings: Value,
    /// The live ones, the oldest first.
    keys: Vec<KeyBody>,
}

/// A key, without anything that it could be guessed from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyBody {
    /// By which it is withdrawn.
    id: Uuid,
    /// The first digits of its hash.
    fingerprint: String,
    /// Whether it stands in the registry file.
    in_file: bool,
    created_at: DateTime<Utc>,
    /// To the minute; null when it was never used.
    #[schema(required = true)]
    last_used_at: Option<DateTime<Utc>>,
}

/// Lists all applications.
#[utoipa::path(get, path = "/app/export/v1/registry", tag = "registry", security(("operator-key" = [])),
    responses(
        (status = 200, description = "All applications.", body = RegistryBody),
        (status = 400, description = "No key, or several.", body = ErrorBody),
        (status = 401, description = "No operator's key.", body = ErrorBody),
        (status = 503, description = "Try again.", body = ErrorBody)))]
pub(crate) async fn registry(api: web::Data<Api>, _: Operator) -> Result<HttpResponse, ApiError> {
    let (registry, revision) = read(&api).await?;
    Ok(ok(RegistryBody { revision, data: registry }))
}

/// Shows one application.
#[utoipa::path(get, path = "/app/export/v1/registry/{application}", tag = "registry",
    security(("operator-key" = [])), params(("application" = String, Path, description = "Its name.")),
    responses(
        (status = 200, description = "The application.", body = ApplicationBody),
        (status = 400, description = "No key, or several.", body = ErrorBody),
        (status = 401, description = "No operator's key.", body = ErrorBody),
        (status = 404, description = "There is no such application.", body = ErrorBody),
        (status = 503, description = "Try again.", body = ErrorBody)))]
pub(crate) async fn registered_application(
    api: web::Data<Api>,
    _: Operator,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (registry, _) = read(&api).await?;
    let found = registry.into_iter().find(|entry| entry.application == *name);
    found.map(ok).ok_or_else(|| ApiError::NoApplication(name.into_inner()))
}

/// From the database: last uses of keys are not followed.
async fn read(api: &Api) -> Result<(Vec<ApplicationBody>, i64), ApiError> {
    let read = api.store.registry().await?;
    let applications =
        read.registry.applications().map(|(name, entry)| ApplicationBody::new(name, entry, &read.keys));
    Ok((applications.collect(), read.revision))
}

fn ok(body: impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body)
}

impl ApplicationBody {
    fn new(name: &ApplicationName, entry: &Application, keys: &[ApplicationKey]) -> Self {
        let keys = keys.iter().filter(|key| key.application == *name).map(KeyBody::from).collect();
        Self { application: name.to_string(), settings: entry.without_keys(), keys }
    }
}

impl From<&ApplicationKey> for KeyBody {
    fn from(key: &ApplicationKey) -> Self {
        Self {
            id: key.id.into(),
            fingerprint: key.hash.fingerprint(),
            in_file: key.in_file,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
        }
    }
}
