//! Who asks (S0-20, S0-21, S0-40, S0-43, X10).

use domain::KeyHash;
use e2e::{Answer, Customer, TestApp, expect, identity_header, json, refusal};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{one_source, with};

/// Lists with this identity header.
async fn list_as(app: &TestApp, header: &str) -> Answer {
    app.ask_unidentified(Method::GET, "/exports").header("x-rh-identity", header).send().await
}

/// The text of a refusal that is about the caller.
async fn plain_refusal(answer: Answer) -> String {
    let response = expect(answer, 400).await;
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    response.text().await.unwrap()
}

#[tokio::test]
async fn s0_20_what_is_wrong_with_an_identity_is_told_in_plain_text() {
    let user = Customer::new().identity();
    let rows: [(Option<String>, &str); 12] = [
        (None, "missing x-rh-identity header"),
        (Some(String::new()), "missing x-rh-identity header"),
        (Some("§".into()), "unable to b64 decode x-rh-identity header"),
        (Some("not base64!".into()), "unable to b64 decode x-rh-identity header"),
        (Some("bm90IGpzb24=".into()), "x-rh-identity header does not contain valid JSON"),
        (Some("e30=".into()), "x-rh-identity header has an invalid or missing org_id"),
        (Some(identity_header(&json!({}))), "x-rh-identity header has an invalid or missing org_id"),
        (
            Some(identity_header(&with(without_internal(&user), "", "org_id", Some(json!(7))))),
            "x-rh-identity header has an invalid or missing org_id",
        ),
        (
            Some(identity_header(&with(user.clone(), "", "type", None))),
            "x-rh-identity header is missing type",
        ),
        (
            Some(identity_header(&with(user.clone(), "", "type", Some(json!(""))))),
            "x-rh-identity header is missing type",
        ),
        (
            Some(identity_header(&with(user.clone(), "", "type", Some(json!("X509"))))),
            "x-rh-identity header has an unsupported type",
        ),
        (
            Some(identity_header(&with(user, "", "user", None))),
            "x-rh-identity header has an invalid or missing username",
        ),
    ];
    let app = TestApp::start().await;
    for (header, told) in rows {
        let answer = match &header {
            Some(header) => list_as(&app, header).await,
            None => app.ask_unidentified(Method::GET, "/exports").send().await,
        };
        assert_eq!(plain_refusal(answer).await, format!("Bad Request: {told}"), "{header:?}");
    }
    app.end().await;
}

fn without_internal(identity: &Value) -> Value {
    with(identity.clone(), "", "internal", None)
}

#[tokio::test]
async fn s0_20_an_identity_that_is_sent_twice_is_nobody() {
    let app = TestApp::start().await;
    let header = Customer::new().header();
    let twice = app.ask_unidentified(Method::GET, "/exports").header("x-rh-identity", &header);
    let answer = twice.header("x-rh-identity", &header).send().await;
    assert_eq!(plain_refusal(answer).await, "Bad Request: missing x-rh-identity header");
    app.end().await;
}

#[tokio::test]
async fn s0_20_users_service_accounts_and_systems_are_callers_and_type_has_no_case() {
    let app = TestApp::start().await;
    let named = |kind: &str, part: Value| {
        let mut identity = json!({"org_id": "77", "type": kind});
        identity.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        identity_header(&identity)
    };
    let callers = [
        named("User", json!({"user": {"username": "one"}})),
        named("USER", json!({"user": {"username": "two"}})),
        named("ServiceAccount", json!({"service_account": {"username": "three"}})),
        named("serviceaccount", json!({"service_account": {"username": "four"}})),
        named("System", json!({"system": {"cn": "five"}})),
    ];
    for (place, caller) in callers.iter().enumerate() {
        let create = app.ask_unidentified(Method::POST, "/exports").header("x-rh-identity", caller);
        expect(create.json(&one_source()).send().await, 202).await;
        // Each sees its own, and nobody else's.
        let listed = json(list_as(&app, caller).await, 200).await;
        assert_eq!(listed["meta"]["count"], 1, "caller {place}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_20_org_id_falls_back_to_the_internal_one() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    app.create(&customer, &one_source()).await;
    let old_style = with(customer.identity(), "", "org_id", None);
    let listed = json(list_as(&app, &identity_header(&old_style)).await, 200).await;
    assert_eq!(listed["meta"]["count"], 1);
    app.end().await;
}

#[tokio::test]
async fn s0_20_for_another_organization_account_or_user_an_export_does_not_exist() {
    let app = TestApp::start().await;
    let owner = Customer::new();
    let export = app.create(&owner, &one_source()).await;
    let others = [
        Customer { org_id: "other".into(), ..owner.clone() },
        Customer { account: "other".into(), ..owner.clone() },
        Customer { account: String::new(), ..owner.clone() },
        Customer { username: "other".into(), ..owner.clone() },
    ];
    for other in others {
        let not_found = format!("record '{}' not found", export.id);
        let paths = [(Method::GET, "/status"), (Method::GET, ""), (Method::DELETE, "")];
        for (method, path) in paths {
            let path = format!("{}{path}", export.path());
            assert_eq!(refusal(app.ask(&other, method, &path).send().await, 404).await, not_found);
        }
        assert_eq!(app.list(&other, "").await["data"], json!([]));
    }
    assert_eq!(app.status(&export).await["status"], "pending");
    app.end().await;
}

#[tokio::test]
async fn s0_21_x10_a_service_calls_on_behalf_of_a_customer_where_that_is_configured() {
    let app = TestApp::with(|settings| {
        settings.public_api.service_keys_sha256 = vec![KeyHash::of(b"service")];
    })
    .await;
    let customer = Customer::new();
    let export = app.create(&customer, &one_source()).await;
    let path = format!("{}/status", export.path());
    let call = |key: &str| app.ask(&customer, Method::GET, &path).header("x-rh-exports-psk", key);
    expect(call("service").send().await, 200).await;
    refusal(call("wrong").send().await, 401).await;
    refusal(call("service").header("x-rh-exports-psk", "service").send().await, 401).await;
    // The key alone names no customer.
    let alone = app.ask_unidentified(Method::GET, &path).header("x-rh-exports-psk", "service");
    assert_eq!(plain_refusal(alone.send().await).await, "Bad Request: missing x-rh-identity header");
    app.end().await;
}

#[tokio::test]
async fn s0_21_x10_without_configured_keys_no_key_is_accepted() {
    let app = TestApp::start().await;
    let call = app.ask(&Customer::new(), Method::GET, "/exports").header("x-rh-exports-psk", "");
    refusal(call.send().await, 401).await;
    app.end().await;
}

#[tokio::test]
async fn s0_40_ping_and_description_need_no_caller() {
    let app = TestApp::start().await;
    expect(app.ask_unidentified(Method::GET, "/ping").send().await, 200).await;
    let document = json(app.ask_unidentified(Method::GET, "/openapi.json").send().await, 200).await;
    assert_eq!(document["openapi"], "3.1.0");
    app.end().await;
}

#[tokio::test]
async fn s0_43_what_is_not_there_and_what_is_not_allowed_have_the_shape_of_all_errors() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    for path in ["/nothing", "/exports/a/b/c", "/exports/"] {
        refusal(app.ask(&customer, Method::GET, path).send().await, 404).await;
    }
    refusal(app.http().get(&app.public_url).send().await, 404).await;
    refusal(app.http().get(&app.internal_url).send().await, 404).await;
    for (method, path) in [(Method::PUT, "/exports"), (Method::POST, "/ping"), (Method::PATCH, "/exports/x")]
    {
        let answer = app.ask(&customer, method, path).send().await.unwrap();
        assert!(answer.headers().contains_key("allow"), "{path}");
        refusal(Ok(answer), 405).await;
    }
    app.end().await;
}
