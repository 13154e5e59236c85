//! The customers' API: create, watch, list, download and delete exports.
//!
//! Law: contract page 1, ids S0-20 to S0-46. Each endpoint is a file: those of [`exports`], and [`applications`].
//! [`caller`] says who calls, [`error`] what is answered when something is wrong.

mod api;
mod applications;
mod caller;
mod error;
mod exports;
mod openapi;
mod settings;

use std::net::SocketAddr;

use actix_web::web;
use service::{BoxError, Context, http};

pub use api::Api;
pub use openapi::document as openapi_document;
pub use settings::{PublicApiSettings, Settings};

/// Where the API lives.
pub const BASE_PATH: &str = "/api/export/v1";

/// Starts the API as tasks of `context`.
///
/// # Errors
/// When settings cannot be used or the address is taken.
pub async fn wire(context: Context, settings: Settings) -> Result<(), BoxError> {
    serve(&context, settings).await.map(drop)
}

/// As [`wire`], and returns the address that is served: tests ask for port 0.
///
/// # Errors
/// As [`wire`].
pub async fn serve(context: &Context, settings: Settings) -> Result<SocketAddr, BoxError> {
    let (listen, http_settings) = (settings.public_api.listen, settings.public_api.http.clone());
    let api = web::Data::new(Api::new(context, settings)?);
    api.follow_registry(context).await;
    let callers = caller::Callers::new(&api);
    let document = openapi_document();
    let routes = move |app: &mut web::ServiceConfig| {
        app.app_data(api.clone());
        app.service(
            web::scope(BASE_PATH)
                .service(web::resource("/ping").get(ping))
                .service(http::openapi(document.clone()))
                .configure(|app| applications::add(app, &callers))
                .configure(|app| exports::add(app, &callers)),
        );
        // Clients look for the description at the root as well.
        app.service(http::openapi(document.clone()));
    };
    Ok(http::serve(context, listen, &http_settings, routes)?)
}

/// Answers `pong` (S0-40).
#[utoipa::path(get, path = "/api/export/v1/ping", tag = "service",
    responses((status = 200, description = "The service answers.", content_type = "text/plain")))]
async fn ping() -> &'static str {
    "pong"
}
