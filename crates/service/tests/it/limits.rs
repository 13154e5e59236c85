//! Who may call, and how often.

use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    middleware::{Next, from_fn},
    web::{self, ServiceConfig},
};
use reqwest::{Method, Response};
use serde_json::json;
use service::http::{CorsSettings, HttpSettings, RateLimit, RateLimitSettings};

use crate::support::{TestServer, json};

fn limited(burst: u32) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let limit = RateLimit::new(&RateLimitSettings {
        enabled: true,
        per_second: 1.try_into().unwrap(),
        burst: burst.try_into().unwrap(),
    });
    move |app| {
        let limit = limit.clone();
        app.service(web::scope("/api").route("/call", web::get().to(HttpResponse::Ok)).wrap(from_fn(
            move |req: ServiceRequest, next: Next<_>| {
                let limit = limit.clone();
                async move {
                    let caller = req.headers().get("caller").and_then(|name| name.to_str().ok());
                    let caller = caller.map(ToOwned::to_owned);
                    limit.apply(caller.as_deref(), req, next).await
                }
            },
        )))
        .route("/ping", web::get().to(HttpResponse::Ok));
    }
}

/// The refusal of a caller that goes on until it is over the limit; on a busy machine that may have refilled
/// meanwhile.
async fn refused(call: impl AsyncFn() -> Response) -> Response {
    for _ in 0..100 {
        let response = call().await;
        if response.status().as_u16() == 429 {
            return response;
        }
    }
    panic!("the caller is never over its limit")
}

#[tokio::test]
async fn a_caller_over_its_burst_gets_429_and_is_told_when_to_return() {
    let server = TestServer::start_with(HttpSettings::default(), limited(3));
    let call = |caller| server.request(Method::GET, "/api/call").header("caller", caller).send();
    let first = call("a").await.unwrap();
    assert_eq!(first.status().as_u16(), 200);
    assert_eq!(first.headers()["ratelimit-policy"], "\"default\";q=3;w=3");
    assert_eq!(first.headers()["ratelimit"], "\"default\";r=2;t=1");
    let refused = refused(async || call("a").await.unwrap()).await;
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["ratelimit"], "\"default\";r=0;t=3");
    assert_eq!(json(refused).await, json!({"message": "too many requests", "code": 429}));
    assert_eq!(call("b").await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn what_has_no_caller_is_not_limited() {
    let server = TestServer::start_with(HttpSettings::default(), limited(1));
    for path in ["/ping", "/api/call", "/ping", "/api/call"] {
        let response = server.get(path).await;
        assert_eq!(response.status().as_u16(), 200);
        assert!(response.headers().get("ratelimit").is_none());
    }
}

async fn preflight(server: &TestServer, origin: &str) -> reqwest::Response {
    let request = server.request(Method::OPTIONS, "/ping").header("origin", origin);
    request.header("access-control-request-method", "GET").send().await.unwrap()
}

#[tokio::test]
async fn pages_of_other_origins_may_call_only_where_configured() {
    let off = TestServer::start_with(HttpSettings::default(), limited(1));
    let response = preflight(&off, "https://console.example.com").await;
    assert!(response.headers().get("access-control-allow-origin").is_none());

    let cors = CorsSettings {
        allowed_origins: vec!["https://console.example.com".into()],
        ..CorsSettings::default()
    };
    let on = TestServer::start_with(HttpSettings { cors, ..HttpSettings::default() }, limited(1));
    let response = preflight(&on, "https://console.example.com").await;
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://console.example.com");
    let response = preflight(&on, "https://elsewhere.example.com").await;
    assert!(response.headers().get("access-control-allow-origin").is_none());

    let cors = CorsSettings {
        allowed_origins: vec!["*".into()],
        allow_credentials: true,
        ..CorsSettings::default()
    };
    let any = TestServer::start_with(HttpSettings { cors, ..HttpSettings::default() }, limited(1));
    let response = preflight(&any, "https://elsewhere.example.com").await;
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert!(response.headers().get("access-control-allow-credentials").is_none());

    let response = on.request(Method::GET, "/ping").header("origin", "https://console.example.com");
    let response = response.send().await.unwrap();
    let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap().to_owned();
    for header in ["x-request-id", "content-disposition", "etag", "accept-ranges", "content-range"] {
        assert!(exposed.contains(header), "{header}: {exposed}");
    }
}
