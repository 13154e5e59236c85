//! Uploads that can be resumed, by the protocol tus 1.0.0 (S0-tus, <https://tus.io/protocols/resumable-upload>):
//! core, creation, creation-with-upload, creation-defer-length, checksum, termination, expiration.
//!
//! What arrives is stored piece by piece, each a gzip object of its own. The last one settles the source as an
//! upload does: its pieces are the blocks of one file, and none of them is read again for that.
//!
//! Invariant: an offset is told only of bytes whose pieces are durable, and that of the last byte only once the
//! source is settled.

pub(crate) mod append;
mod appending;
mod before_body;
pub(crate) mod begin;
mod checksum;
mod cut_body;
mod error;
mod folded;
mod headers;
pub(crate) mod inspect;
mod limit;
mod pieces;
pub(crate) mod terminate;
mod upload_path;

use actix_web::{
    Scope, guard,
    http::Method,
    middleware::DefaultHeaders,
    web::{self, ServiceConfig},
};

use self::{
    append::append_to_upload,
    before_body::{may_append, may_begin},
    begin::begin_resumable_upload,
    headers::VERSION,
    inspect::{resumable_offset, resumable_options},
    terminate::terminate_upload,
};
use crate::target::SOURCE_FIRST;

/// Adds the routes: where uploads are begun, and below that where they go on.
pub(crate) fn add(scope: Scope) -> Scope {
    let options = || web::method(Method::OPTIONS).to(resumable_options);
    let overridden = |method| web::post().guard(guard::Header("x-http-method-override", method));
    let uploads = web::resource(format!("{SOURCE_FIRST}/uploads"))
        .wrap(every_answer())
        .route(options())
        .route(web::post().to(begin_resumable_upload));
    let upload = web::resource(format!("{SOURCE_FIRST}/uploads/{{upload_id}}"))
        .wrap(every_answer())
        .route(options())
        .route(web::head().to(resumable_offset))
        .route(web::patch().to(append_to_upload))
        .route(web::delete().to(terminate_upload))
        // For clients whose surroundings know GET and POST only, as the protocol has it.
        .route(overridden("HEAD").to(resumable_offset))
        .route(overridden("PATCH").to(append_to_upload))
        .route(overridden("DELETE").to(terminate_upload));
    scope.service(uploads).service(upload)
}

/// Adds the routes of what is answered before a body comes, below `base`.
pub(crate) fn add_before_body(app: &mut ServiceConfig, base: &str) {
    let uploads = web::resource(format!("{base}{SOURCE_FIRST}/uploads"))
        .wrap(every_answer())
        .route(web::post().to(may_begin));
    let upload = web::resource(format!("{base}{SOURCE_FIRST}/uploads/{{upload_id}}"))
        .wrap(every_answer())
        .route(web::patch().to(may_append))
        .route(web::post().to(may_append));
    app.service(uploads).service(upload);
}

/// What every answer says, also one that refuses.
fn every_answer() -> DefaultHeaders {
    DefaultHeaders::new().add(("Tus-Resumable", VERSION)).add(("Tus-Version", VERSION))
}
