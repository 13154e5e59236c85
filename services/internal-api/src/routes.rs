//! The paths: two bases, and both orders of their segments, because clients of each are in the field (X3).

use actix_web::web::{self, ServiceConfig};
use service::http;

use crate::{may_upload, registry, report, resumable, target::SOURCE_FIRST, upload};

/// Where the API lives.
pub(crate) const BASE_PATHS: [&str; 2] = ["/app/export/v1", "/internal/export/v1"];

/// Adds all routes; `document` describes them.
pub(crate) fn add(app: &mut ServiceConfig, document: &str) {
    for base in BASE_PATHS {
        let mut scope = web::scope(base)
            .service(web::resource("/ping").get(ping))
            .service(web::resource("/registry").get(registry::registry))
            .service(web::resource("/registry/{application}").get(registry::registered_application))
            .service(http::openapi(document.to_owned()));
        for path in upload_paths() {
            scope = scope.service(web::resource(path).route(web::post().to(upload::upload)));
        }
        for path in [format!("/error{SOURCE_FIRST}"), format!("{SOURCE_FIRST}/error")] {
            scope = scope.service(web::resource(path).route(web::post().to(report::report_error)));
        }
        app.service(resumable::add(scope));
    }
    app.service(http::openapi(document.to_owned()));
}

/// Adds the routes of what is answered before a body comes.
pub(crate) fn add_before_body(app: &mut ServiceConfig) {
    for base in BASE_PATHS {
        for path in upload_paths() {
            app.service(web::resource(format!("{base}{path}")).route(web::post().to(may_upload::may_upload)));
        }
        resumable::add_before_body(app, base);
    }
}

fn upload_paths() -> [String; 2] {
    [format!("/upload{SOURCE_FIRST}"), format!("{SOURCE_FIRST}/upload")]
}

/// Answers `pong` (S0-ping).
#[utoipa::path(get, path = "/app/export/v1/ping", tag = "service",
    responses((status = 200, description = "The service answers.", content_type = "text/plain")))]
pub(crate) async fn ping() -> &'static str {
    "pong"
}
