//! Web pages of other origins (CORS).

use e2e::{Customer, TestApp, refusal};
use reqwest::{Method, Response};

const CONSOLE: &str = "https://console.example.com";

async fn app_for(origins: &[&str]) -> TestApp {
    TestApp::with(|settings| {
        settings.public_api.http.cors.allowed_origins =
            origins.iter().map(|origin| (*origin).into()).collect();
    })
    .await
}

/// Asks as a browser does before it lets a page of `origin` delete an export.
async fn preflight(app: &TestApp, origin: &str) -> Response {
    let request = app.ask_unidentified(Method::OPTIONS, "/exports/x").header("origin", origin);
    let request = request.header("access-control-request-method", "DELETE");
    request.header("access-control-request-headers", "x-rh-identity, content-type").send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_call_and_read_what_it_needs() {
    let app = app_for(&[CONSOLE]).await;
    let allowed = preflight(&app, CONSOLE).await;
    assert_eq!((allowed.status().as_u16(), header(&allowed, "access-control-allow-origin")), (200, CONSOLE));
    assert!(header(&allowed, "access-control-allow-methods").contains("DELETE"));
    assert!(header(&allowed, "access-control-allow-headers").contains("x-rh-identity"));
    assert_eq!(header(&allowed, "access-control-max-age"), "3600");
    let call =
        app.ask(&Customer::new(), Method::GET, "/exports").header("origin", CONSOLE).send().await.unwrap();
    assert_eq!((call.status().as_u16(), header(&call, "access-control-allow-origin")), (200, CONSOLE));
    let exposed = header(&call, "access-control-expose-headers").to_lowercase();
    for name in ["content-disposition", "etag", "retry-after", "ratelimit", "x-request-id"] {
        assert!(exposed.contains(name), "{name} is not in {exposed}");
    }
    app.end().await;
}

#[tokio::test]
async fn a_page_of_another_origin_may_not() {
    let app = app_for(&[CONSOLE]).await;
    for origin in ["https://evil.example.com", "https://console.example.com.evil.com", "null"] {
        let refused = preflight(&app, origin).await;
        assert_eq!(header(&refused, "access-control-allow-origin"), "", "{origin}");
        assert!(refused.status().is_client_error(), "{origin}: {}", refused.status());
    }
    app.end().await;
}

#[tokio::test]
async fn refusals_tell_their_reason_to_an_allowed_page() {
    let app = app_for(&[CONSOLE]).await;
    let call = app.ask(&Customer::new(), Method::GET, "/exports/x/status").header("origin", CONSOLE);
    let refused = call.send().await.unwrap();
    assert_eq!(header(&refused, "access-control-allow-origin"), CONSOLE);
    refusal(Ok(refused), 400).await;
    app.end().await;
}

#[tokio::test]
async fn without_configured_origins_there_is_no_answer_for_browsers() {
    let app = TestApp::start().await;
    let refused = preflight(&app, CONSOLE).await;
    assert_eq!(header(&refused, "access-control-allow-origin"), "");
    assert!(refused.status().is_client_error(), "{}", refused.status());
    app.end().await;
}
