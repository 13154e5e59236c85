//! Errors, ids and headers of answers.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{self, ServiceConfig},
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use service::http::HttpError;

use crate::support::{TestServer, json};

/// A service's own errors, to show how they become answers.
#[derive(Debug)]
enum ApiError {
    Gone,
    Database(std::io::Error),
}

impl From<ApiError> for HttpError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Gone => Self::gone("this is over"),
            ApiError::Database(cause) => Self::unavailable(cause),
        }
    }
}

impl From<ApiError> for actix_web::Error {
    fn from(error: ApiError) -> Self {
        HttpError::from(error).into()
    }
}

#[derive(Deserialize)]
struct Page {
    limit: u32,
}

fn routes(app: &mut ServiceConfig) {
    app.service(
        web::resource("/things/{id}")
            .get(async |id: web::Path<u32>| HttpResponse::Ok().json(*id))
            .delete(async || Err::<HttpResponse, _>(ApiError::Gone)),
    )
    .route("/page", web::get().to(async |page: web::Query<Page>| HttpResponse::Ok().json(page.limit)))
    .route("/away", web::get().to(async || Err::<HttpResponse, _>(ApiError::Database(secret_failure()))))
    .route("/broken", web::get().to(async || Err::<HttpResponse, _>(HttpError::internal(secret_failure()))))
    .route(
        "/text",
        web::get()
            .to(async || Err::<HttpResponse, _>(HttpError::bad_request("Bad Request: missing").plain_text())),
    )
    .route("/panic", web::get().to(panicking));
}

fn secret_failure() -> std::io::Error {
    std::io::Error::other("password hunter2 refused")
}

async fn panicking() -> HttpResponse {
    panic!("an oversight")
}

#[tokio::test]
async fn s0_43_errors_of_every_origin_have_one_shape() {
    let server = TestServer::start(routes);
    for (method, path, status, message) in [
        (Method::GET, "/nowhere", 404, "no such path"),
        (Method::GET, "/things/x", 404, "no such path"),
        (Method::DELETE, "/things/1", 410, "this is over"),
        (Method::PUT, "/things/1", 405, "method not allowed"),
        (Method::GET, "/page?limit=x", 400, "Query deserialize error: invalid digit found in string"),
    ] {
        let response = server.request(method, path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(json(response).await, json!({"message": message, "code": status}));
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let server = TestServer::start(routes);
    let response = server.request(Method::PUT, "/things/1").send().await.unwrap();
    assert_eq!(response.headers()["allow"], "GET, DELETE");
}

#[tokio::test]
async fn an_error_may_be_plain_text_where_the_contract_says_so() {
    let response = TestServer::start(routes).get("/text").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST.as_u16());
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.text().await.unwrap(), "Bad Request: missing");
}

#[tokio::test]
async fn a_request_keeps_a_sane_id_and_gets_one_otherwise() {
    let server = TestServer::start(routes);
    for (header, id) in [("x-request-id", "abc-123"), ("x-rh-insights-request-id", "gateway-7")] {
        let response = server.request(Method::GET, "/things/1").header(header, id).send().await.unwrap();
        assert_eq!(response.headers()["x-request-id"], id);
    }
    let response =
        server.request(Method::GET, "/things/1").header("x-request-id", "a b").send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"].len(), 36);
}

#[tokio::test]
async fn a_5xx_shows_a_fixed_sentence_and_the_request_id_but_not_its_cause() {
    let server = TestServer::start(routes);
    for (path, status, sentence) in [
        ("/broken", 500, "something went wrong on our side (request r-1)"),
        ("/panic", 500, "something went wrong on our side (request r-1)"),
        ("/away", 503, "the service is unavailable for the moment, please try again (request r-1)"),
    ] {
        let response = server.request(Method::GET, path).header("x-request-id", "r-1").send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(response.headers()["x-request-id"], "r-1");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers().get("retry-after").is_some(), status == 503);
        assert_eq!(json(response).await, json!({"message": sentence, "code": status}));
    }
}

#[tokio::test]
async fn a_panic_costs_its_request_and_nothing_else() {
    let server = TestServer::start(routes);
    for _ in 0..20 {
        assert_eq!(server.get("/panic").await.status().as_u16(), 500);
        assert_eq!(server.get("/things/1").await.status().as_u16(), 200);
    }
    assert!(server.ctx.tasks().failure().is_none());
}
