//! The internal API: source applications deliver their data, or an error.
//!
//! Law: contract page 1, ids S0-17 to S0-48. An upload is authorised ([`application`]), taken in
//! ([`upload`], `crates/receive`); 202 comes after it has settled its source. One that comes in several requests is
//! stored piece by piece ([`resumable`]).

mod api;
mod application;
mod error;
mod may_upload;
mod openapi;
mod operator;
mod registry;
mod report;
mod resumable;
mod routes;
mod settings;
mod target;
mod tokens;
mod upload;
mod used_keys;

use std::net::SocketAddr;

use actix_web::web;
use service::{BoxError, Context, http};

pub use api::Api;
pub use openapi::document as openapi_document;
pub use settings::{DuplicateUploadStatus, InternalApiSettings, Settings};

/// Starts the API as tasks of `context`.
///
/// # Errors
/// When settings cannot be used, or the address is taken.
pub async fn wire(context: Context, settings: Settings) -> Result<(), BoxError> {
    serve(&context, settings).await.map(drop)
}

/// As [`wire`], and returns the address that is served: tests ask for port 0.
///
/// # Errors
/// As [`wire`].
pub async fn serve(context: &Context, settings: Settings) -> Result<SocketAddr, BoxError> {
    settings.check_uploads()?;
    let (listen, http_settings) = (settings.internal_api.listen, settings.internal_api.http.clone());
    let api = web::Data::new(Api::new(context, settings)?);
    api.follow_registry(context).await;
    api.used_keys.write_down(context, &api.store);
    api.tokens.keep_keys(context);
    let (asked, document) = (api.clone(), openapi::document());
    let routes = move |app: &mut web::ServiceConfig| {
        app.app_data(api.clone());
        routes::add(app, &document);
    };
    let before_body = move |app: &mut web::ServiceConfig| {
        app.app_data(asked.clone());
        routes::add_before_body(app);
    };
    Ok(http::serve_asking(context, listen, &http_settings, routes, before_body)?)
}
