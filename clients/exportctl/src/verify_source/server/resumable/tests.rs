//! The requests of tus 1.0.0, one after the other, without a script.

use std::{sync::Arc, time::Duration};

use actix_web::{
    App,
    test::{TestRequest, call_service, init_service},
};

use super::*;
use crate::verify_source::{
    credential::Credential, ledger::Ledger, request::Request, script::Script, server::InternalApi,
};

const UPLOADED: &str = "[{\"n\": 1}]";

/// An internal API that was asked for one source, and where its resumable uploads begin.
fn asked() -> (web::Data<InternalApi>, Uuid, String) {
    let ledger = Arc::new(Ledger::default());
    let request = Request::new("a", "r", "json", None);
    let (export_id, resource_id) = (request.export_id, request.resource_id);
    ledger.open(request, "a request", Script::platform());
    let credential = Credential::Key("k".to_owned());
    let api = InternalApi { ledger, credential, idle_timeout: Duration::from_secs(5) };
    (web::Data::new(api), export_id, format!("/app/export/v1/{export_id}/a/{resource_id}/uploads"))
}

/// Calls with headers, and data that says what it is.
async fn call(
    api: &web::Data<InternalApi>,
    (method, path): (Method, &str),
    headers: &[(&str, &str)],
    data: &'static str,
) -> HttpResponse {
    let app = App::new().app_data(api.clone()).default_service(web::to(super::super::answer));
    let app = init_service(app).await;
    let request = TestRequest::with_uri(path).method(method).set_payload(data);
    let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
    let request = request.insert_header(("tus-resumable", VERSION));
    let request = if data.is_empty() { request } else { request.insert_header(("content-type", MEDIA_TYPE)) };
    call_service(&app, request.to_request()).await.into_parts().1
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[actix_web::test]
async fn s0_tus_an_upload_is_begun_with_data_asked_for_and_gone_on_with() {
    let (api, export_id, uploads) = asked();
    let (first, second) = UPLOADED.split_at(4);
    let length = UPLOADED.len().to_string();
    let begun = call(&api, (Method::POST, &uploads), &[("upload-length", &length)], first).await;
    assert_eq!((begun.status(), header(&begun, "upload-offset")), (StatusCode::CREATED, "4"));
    let upload = header(&begun, "location").to_owned();

    let elsewhere = call(&api, (Method::PATCH, &upload), &[("upload-offset", "0")], first).await;
    assert_eq!(elsewhere.status(), StatusCode::CONFLICT);
    let standing = call(&api, (Method::HEAD, &upload), &[], "").await;
    assert_eq!((header(&standing, "upload-offset"), header(&standing, "upload-length")), ("4", &*length));

    let ended = call(&api, (Method::PATCH, &upload), &[("upload-offset", "4")], second).await;
    assert_eq!((ended.status(), header(&ended, "upload-offset")), (StatusCode::NO_CONTENT, &*length));
    let state = api.ledger.state();
    let case = &state.cases[&export_id];
    assert!(matches!(case.answer(), Some(Settled::Data(content)) if content.size_bytes == 10));
    assert_eq!((case.attempts.len(), case.misuse.as_ref()), (1, None));
    let finished = call(&api, (Method::DELETE, &upload), &[], "").await;
    assert_eq!(finished.status(), StatusCode::GONE);
}

#[actix_web::test]
async fn s0_tus_an_upload_that_is_ended_is_gone() {
    let (api, export_id, uploads) = asked();
    let begun = call(&api, (Method::POST, &uploads), &[("upload-defer-length", "1")], "").await;
    let upload = header(&begun, "location").to_owned();
    let override_header = [("x-http-method-override", "DELETE")];
    let ended = call(&api, (Method::POST, &upload), &override_header, "").await;
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    let gone = call(&api, (Method::HEAD, &upload), &[], "").await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert!(api.ledger.state().cases[&export_id].uploads.is_empty());
}

#[actix_web::test]
async fn s0_tus_what_is_not_as_the_protocol_has_it_is_kept() {
    let (api, export_id, uploads) = asked();
    let begun = call(&api, (Method::POST, &uploads), &[("upload-length", "4")], "").await;
    let upload = header(&begun, "location").to_owned();
    let longer = call(&api, (Method::PATCH, &upload), &[("upload-offset", "0")], UPLOADED).await;
    assert_eq!(longer.status(), StatusCode::BAD_REQUEST);
    let misuse = api.ledger.state().cases[&export_id].misuse.clone();
    assert!(misuse.unwrap().contains("a PATCH was refused with 400: it brought more bytes"));
    let neither = call(&api, (Method::POST, &uploads), &[], "").await;
    assert_eq!(neither.status(), StatusCode::BAD_REQUEST);
    let options = call(&api, (Method::OPTIONS, &uploads), &[], "").await;
    assert_eq!(header(&options, "tus-version"), VERSION);
}

#[test]
fn the_type_of_data_is_in_its_metadata() {
    assert_eq!(content_type("filename eA==, filetype dGV4dC9jc3Y=").as_deref(), Some("text/csv"));
    assert_eq!(content_type("filename eA=="), None);
    assert_eq!(content_type("filetype ???"), None);
}
