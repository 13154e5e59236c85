//! The endpoints of exports, one file each.

mod create;
mod delete;
mod download;
mod list;
mod path;
mod retry;
mod serve_archive;
mod status;
mod view;

use actix_web::{
    middleware::from_fn,
    web::{self, ServiceConfig},
};

pub(crate) use create::__path_create_export;
pub(crate) use delete::__path_delete_export;
pub(crate) use download::__path_download_export;
pub(crate) use list::__path_list_exports;
pub(crate) use retry::__path_retry_source;
pub(crate) use status::__path_export_status;

use crate::caller::Callers;

/// Adds the routes under `/exports`; each needs a caller.
pub(crate) fn add(app: &mut ServiceConfig, callers: &Callers) {
    let callers = callers.clone();
    let identify = from_fn(move |req, next| {
        let callers = callers.clone();
        async move { callers.identify(req, next).await }
    });
    let routes = web::scope("/exports")
        .service(
            web::resource("")
                .route(web::post().to(create::create_export))
                .route(web::get().to(list::list_exports)),
        )
        .service(web::resource("/{export_id}/status").route(web::get().to(status::export_status)))
        .service(
            web::resource("/{export_id}/sources/{source_id}/retry")
                .route(web::post().to(retry::retry_source)),
        )
        .service(
            web::resource("/{export_id}")
                .route(web::get().to(download::download_export))
                .route(web::head().to(download::download_export))
                .route(web::delete().to(delete::delete_export)),
        );
    app.service(routes.wrap(identify));
}
