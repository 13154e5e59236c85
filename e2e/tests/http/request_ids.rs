//! Every request has an id, by which it is found again.

use std::collections::BTreeSet;

use e2e::{Customer, SOURCE_APPLICATION, SourceApplication, TestApp};
use reqwest::{Method, RequestBuilder};
use testkit::{Fault, FaultProxy};

async fn id_of(request: RequestBuilder) -> String {
    let answer = request.send().await.unwrap();
    answer.headers()["x-request-id"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_id_that_a_request_brings_is_on_the_answer() {
    let app = TestApp::start().await;
    let (customer, application) = (Customer::new(), SourceApplication::named(SOURCE_APPLICATION));
    for header in ["x-request-id", "x-rh-insights-request-id"] {
        for path in ["/exports", "/exports/x/status", "/nothing", "/ping"] {
            let request = app.ask(&customer, Method::GET, path).header(header, "brought-1");
            assert_eq!(id_of(request).await, "brought-1", "{header} to {path}");
        }
        let request = app.answer(&application, Method::POST, "/a/b/c/upload").header(header, "brought-1");
        assert_eq!(id_of(request).await, "brought-1", "{header}");
    }
    app.end().await;
}

#[tokio::test]
async fn a_request_without_a_sane_id_gets_one_of_its_own() {
    let app = TestApp::start().await;
    let mut ids = BTreeSet::new();
    let long = "x".repeat(1000);
    for brought in [None, None, Some("with space"), Some(""), Some(long.as_str())] {
        let request = app.ask(&Customer::new(), Method::GET, "/exports");
        let request = brought.into_iter().fold(request, |request, id| request.header("x-request-id", id));
        let id = id_of(request).await;
        assert_eq!(id.len(), 36, "{brought:?}");
        ids.insert(id);
    }
    assert_eq!(ids.len(), 5);
    app.end().await;
}

#[tokio::test]
async fn a_failure_tells_its_id_and_nothing_else() {
    let proxy = FaultProxy::bind().await.unwrap();
    let app = TestApp::with(|settings| {
        settings.database_through(&proxy);
        settings.database.pool_wait = domain::Period::from_millis(100);
    })
    .await;
    proxy.set(Fault::Refuse);
    proxy.cut_all();
    let request = app.ask(&Customer::new(), Method::GET, "/exports").header("x-request-id", "find-me");
    let message = e2e::refusal(request.send().await, 503).await;
    assert_eq!(message, "the service is unavailable for the moment, please try again (request find-me)");
    proxy.set(Fault::None);
    app.end().await;
}
