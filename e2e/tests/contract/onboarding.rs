//! Bringing an application on board (S0-31, S1-1, S1-2), and what customers then see (S0-apps).

use std::collections::BTreeMap;

use domain::{
    ApplicationName, ExportFormat, KeyHash, ResourceName,
    registry::{Application, Registry, Resource},
};
use e2e::{
    Customer, INTERNAL, PATIENCE, SOURCE_APPLICATION, SourceApplication, TestApp, expect, json, refusal,
};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::poll_until;

use crate::support::usual;

const NEWCOMER: &str = "newcomer";

const OPERATORS_KEY: &str = "the operators' key";

fn name(text: &str) -> ApplicationName {
    ApplicationName::parse(text).unwrap()
}

/// An application that says everything about itself.
fn newcomer() -> Application {
    let things =
        Resource { title: "All things".into(), formats: [ExportFormat::Csv].into(), ..Resource::default() };
    Application {
        title: "The newcomer".into(),
        owner: "Team New".into(),
        contact: "new@example.com".into(),
        documentation: "Your things. Administrators may see them; ask one of them.".into(),
        documentation_url: "https://example.com/things".into(),
        resources: BTreeMap::from([
            (ResourceName::parse("things").unwrap(), things),
            (ResourceName::parse("others").unwrap(), Resource::default()),
        ]),
        ..Application::default()
    }
}

/// Applies the registry of `app` with the newcomer in it.
async fn take_on_board(app: &TestApp) {
    let mut applications = app.settings.applications.clone();
    applications.insert(name(NEWCOMER), newcomer());
    app.store().apply_registry(Registry::new(applications).unwrap(), app.now()).await.unwrap();
}

async fn offered(app: &TestApp) -> Vec<Value> {
    let answer = app.ask(&Customer::new(), Method::GET, "/applications").send().await;
    json(answer, 200).await["data"].as_array().unwrap().clone()
}

async fn wait_for_offer(app: &TestApp) -> Value {
    poll_until(PATIENCE, async || {
        Ok(offered(app).await.into_iter().find(|entry| entry["application"] == NEWCOMER))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn s0_apps_s1_2_customers_see_the_applications_that_they_may_ask() {
    let app = TestApp::with(|settings| {
        settings.applications.insert(name(NEWCOMER), newcomer());
        settings.applications.insert(name("empty"), Application::default());
    })
    .await;
    let offered = offered(&app).await;
    let names: Vec<_> = offered.iter().map(|entry| entry["application"].as_str().unwrap()).collect();
    assert!(names.is_sorted() && names.contains(&SOURCE_APPLICATION), "{names:?}");
    assert!(!names.contains(&"empty"), "it has nothing to ask for");
    let newcomer = offered.into_iter().find(|entry| entry["application"] == NEWCOMER).unwrap();
    // Neither who answers for it, nor keys, nor limits: that is for operators.
    assert_eq!(
        newcomer,
        json!({
            "application": NEWCOMER, "title": "The newcomer",
            "documentation": "Your things. Administrators may see them; ask one of them.",
            "documentation_url": "https://example.com/things",
            "resources": [
                {"resource": "others", "title": "others", "formats": ["json", "csv"]},
                {"resource": "things", "title": "All things", "formats": ["csv"]},
            ],
        })
    );
    app.end().await;
}

#[tokio::test]
async fn s0_31_s1_1_an_application_comes_on_board_while_the_services_run() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    let wanted = json!({"name": "n", "format": "csv",
        "sources": [{"application": NEWCOMER, "resource": "things"}]});
    refusal(app.try_create(&customer, &wanted).await, 406).await;

    take_on_board(&app).await;
    wait_for_offer(&app).await;
    let added = app.store().add_key(name(NEWCOMER), KeyHash::of(b"its key"), app.now()).await.unwrap();
    assert!(matches!(added, store::AddKeyOutcome::Added(_)), "{added:?}");

    let export = app.create(&customer, &wanted).await;
    let application = SourceApplication::named(NEWCOMER).with_key("its key");
    let path = format!("{}/upload", export.sources[0].path);
    let accepted = async || {
        let answer = app.answer(&application, Method::POST, &path).body("a,b\r\n").send().await?;
        Ok((answer.status() == 202).then_some(()))
    };
    poll_until(PATIENCE, accepted).await.unwrap();
    assert_eq!(app.status(&export).await["status"], "complete");
    app.end().await;
}

#[tokio::test]
async fn s1_2_operators_read_all_of_the_registry_but_keys() {
    let app = TestApp::with(|settings| {
        settings.internal_api.operator_keys_sha256 = vec![KeyHash::of(OPERATORS_KEY.as_bytes())];
    })
    .await;
    take_on_board(&app).await;
    let operator = usual().with_key(OPERATORS_KEY);
    let get = |path: &str| app.answer(&operator, Method::GET, path).send();

    let answer = expect(get("/registry").await, 200).await.text().await.unwrap();
    let fingerprint = KeyHash::of(usual().key.as_bytes()).fingerprint();
    assert!(answer.contains(&format!("\"{fingerprint}\"")), "eight digits, and no more: {answer}");
    let registry: Value = serde_json::from_str(&answer).unwrap();
    let entries = registry["data"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["application"] == SOURCE_APPLICATION));

    let entry = json(get("/registry/newcomer").await, 200).await;
    assert_eq!((&entry["settings"]["owner"], &entry["keys"]), (&json!("Team New"), &json!([])));
    refusal(get("/registry/unheard-of").await, 404).await;
    app.end().await;
}

#[tokio::test]
async fn s1_2_the_registry_is_open_to_operators_only() {
    let app = TestApp::start().await;
    let without_key = app.answer_unidentified(Method::GET, "/registry").send().await;
    refusal(without_key, 400).await;
    for key in [usual().key.as_str(), OPERATORS_KEY, ""] {
        refusal(app.answer(&usual().with_key(key), Method::GET, "/registry").send().await, 401).await;
    }
    let on_public = app.http().get(format!("{}{INTERNAL}/registry", app.public_url)).send().await;
    assert_eq!(on_public.unwrap().status(), 404);
    app.end().await;
}

#[tokio::test]
async fn s1_1_the_registry_may_change_under_load() {
    let app = TestApp::start().await;
    let (store, customer) = (app.store(), Customer::new());
    let wanted = json!({"name": "n", "format": "json",
        "sources": [{"application": SOURCE_APPLICATION, "resource": "exampleResource"}]});
    let changing = async {
        for round in 0..20 {
            let mut applications = app.settings.applications.clone();
            let entry = applications.get_mut(&name(SOURCE_APPLICATION)).unwrap();
            entry.title = format!("round {round}");
            if round % 2 == 0 {
                applications.insert(name(NEWCOMER), newcomer());
            }
            store.apply_registry(Registry::new(applications).unwrap(), app.now()).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let working = async {
        for _ in 0..40 {
            // Not one request is refused for it.
            let export = app.complete(&customer, &wanted, |_| "[]".into()).await;
            assert_eq!(app.status(&export).await["status"], "complete");
        }
    };
    futures_util::join!(changing, working);
    app.end().await;
}
