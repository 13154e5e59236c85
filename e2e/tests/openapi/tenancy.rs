//! Every operation, asked by those who may not: answered as if the thing did not exist, or as the contract
//! says. An operation without rows here fails the test.

use e2e::{
    Customer, Export, OTHER_APPLICATION, SILENT_APPLICATION, SOURCE_APPLICATION, SourceApplication, TestApp,
};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::description::{Description, Operation};

const UNKNOWN: &str = "2b177cb4-5229-4c90-8640-e0b9bfdc2200";

/// Somebody who asks for what is not theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stranger {
    /// A customer, known by the gateway, who is not the owner.
    Customer(Customer),
    /// Nobody: these identity headers, none or garbage.
    Nobody(Vec<&'static str>),
}

fn strangers(owner: &Customer) -> Vec<Stranger> {
    vec![
        Stranger::Customer(Customer { org_id: "other".into(), ..owner.clone() }),
        Stranger::Customer(Customer { account: "other".into(), ..owner.clone() }),
        Stranger::Customer(Customer { account: String::new(), ..owner.clone() }),
        Stranger::Customer(Customer { username: "other".into(), ..owner.clone() }),
        Stranger::Customer(Customer { username: owner.username.to_uppercase(), ..owner.clone() }),
        Stranger::Nobody(vec![]),
        Stranger::Nobody(vec![""]),
        Stranger::Nobody(vec!["garbage"]),
        Stranger::Nobody(vec!["e30="]),
        Stranger::Nobody(vec!["e30=", "e30="]),
    ]
}

fn wanted() -> Value {
    json!({"name": "Nightly", "format": "json",
        "sources": [{"application": SOURCE_APPLICATION, "resource": "exampleResource"}]})
}

/// What the owner sees of everything they have.
async fn seen_by_owner(app: &TestApp, exports: [&Export; 2]) -> Value {
    let listed = app.list(&exports[0].customer, "").await;
    json!([listed, app.status(exports[0]).await, app.status(exports[1]).await])
}

#[tokio::test]
async fn for_every_operation_of_the_public_api_a_strangers_export_does_not_exist() {
    let app = TestApp::start().await;
    let owner = Customer::new();
    let complete = app.complete(&owner, &wanted(), |_| "[1]".into()).await;
    let pending = app.create(&owner, &wanted()).await;
    let before = seen_by_owner(&app, [&complete, &pending]).await;
    for operation in &Description::public().operations {
        for stranger in strangers(&owner) {
            for export in [&complete, &pending] {
                let request = |export: &str| {
                    let source = complete.sources[0].id.as_str();
                    let path = operation.path_with(&[("export_id", export), ("source_id", source)]);
                    let url = format!("{}{path}", app.public_url);
                    let request = app.http().request(operation.method.clone(), url);
                    identified(request, &stranger).json(&wanted())
                };
                let theirs = request(&export.id).send().await.unwrap();
                let none = request(UNKNOWN).send().await.unwrap();
                public_row(operation, &stranger, theirs, none, &export.id).await;
            }
        }
        assert_eq!(seen_by_owner(&app, [&complete, &pending]).await, before, "after {}", operation.id);
    }
    app.end().await;
}

fn identified(request: RequestBuilder, stranger: &Stranger) -> RequestBuilder {
    match stranger {
        Stranger::Customer(customer) => request.header("x-rh-identity", customer.header()),
        Stranger::Nobody(headers) => {
            headers.iter().fold(request, |request, header| request.header("x-rh-identity", *header))
        }
    }
}

/// What `operation` must answer to `stranger`: `theirs` about another's export, `none` about one that never
/// was.
async fn public_row(
    operation: &Operation,
    stranger: &Stranger,
    theirs: Response,
    none: Response,
    export: &str,
) {
    let what = format!("{} by {stranger:?}", operation.id);
    let (status, unknown_status) = (theirs.status().as_u16(), none.status().as_u16());
    let (body, unknown) = (theirs.text().await.unwrap(), none.text().await.unwrap());
    match (operation.id.as_str(), stranger) {
        ("ping", _) => assert_eq!(status, 200, "{what}"),
        (_, Stranger::Nobody(_)) => {
            assert_eq!(status, 400, "{what}");
            assert!(body.starts_with("Bad Request: ") || operation.method == "HEAD", "{what}: {body}");
        }
        // They create their own and list their own.
        ("create_export", _) => assert_eq!(status, 202, "{what}"),
        ("list_applications", _) => assert_eq!(status, 200, "{what}"),
        ("list_exports", _) => {
            assert_eq!(status, 200, "{what}");
            assert!(!body.contains(export), "{what}: {body}");
        }
        (
            "export_status" | "download_export" | "download_export_head" | "delete_export" | "retry_source",
            _,
        ) => {
            assert_eq!((status, unknown_status), (404, 404), "{what}");
            assert_eq!(body.replace(export, UNKNOWN), unknown, "{what}: nothing tells the two apart");
        }
        _ => panic!("{} has no row: say what strangers get", operation.id),
    }
}

#[tokio::test]
async fn for_every_operation_of_the_internal_api_another_applications_source_is_refused() {
    let app = TestApp::start().await;
    let owner = Customer::new();
    let export = app.create(&owner, &wanted()).await;
    let complete = app.complete(&owner, &wanted(), |_| "[1]".into()).await;
    let before = seen_by_owner(&app, [&complete, &export]).await;
    let keys = |application: &str| SourceApplication::named(application).key;
    // The application in the path, the keys sent, and the answer of the contract (S0-17, S0-47b).
    let rows: Vec<(&str, Vec<String>, u16)> = vec![
        (SOURCE_APPLICATION, vec![keys(OTHER_APPLICATION)], 403),
        (OTHER_APPLICATION, vec![keys(OTHER_APPLICATION)], 403),
        (OTHER_APPLICATION, vec![keys(SOURCE_APPLICATION)], 403),
        (SILENT_APPLICATION, vec![keys(SILENT_APPLICATION)], 403),
        ("unheard-of", vec![keys(SOURCE_APPLICATION)], 403),
        ("unheard-of", vec!["garbage".into()], 403),
        (SOURCE_APPLICATION, vec!["garbage".into()], 401),
        (SOURCE_APPLICATION, vec![String::new()], 401),
        (SOURCE_APPLICATION, vec![], 400),
        (SOURCE_APPLICATION, vec![keys(SOURCE_APPLICATION), keys(SOURCE_APPLICATION)], 400),
    ];
    for operation in &Description::internal().operations {
        for (application, sent, status) in &rows {
            for export in [&export, &complete] {
                let parameters = [
                    ("export_id", export.id.as_str()),
                    ("application", application),
                    ("resource_id", &export.sources[0].id),
                    ("upload_id", UNKNOWN),
                ];
                let url = format!("{}{}", app.internal_url, operation.path_with(&parameters));
                let request = app.http().request(operation.method.clone(), url);
                let request =
                    sent.iter().fold(request, |request, key| request.header("x-rh-exports-psk", key));
                let answer = request.json(&json!({"message": "no", "error": 404})).send().await.unwrap();
                let expected = internal_row(operation, *status);
                assert_eq!(answer.status(), expected, "{} as {application} with {sent:?}", operation.id);
                // Customers' headers open nothing here.
                assert!(!answer.text().await.unwrap().contains(&owner.username));
            }
        }
        assert_eq!(seen_by_owner(&app, [&complete, &export]).await, before, "after {}", operation.id);
    }
    app.end().await;
}

/// What `operation` must answer where the contract has `refusal`.
fn internal_row(operation: &Operation, refusal: u16) -> u16 {
    let described = operation.id.trim_end_matches(|c: char| c == '_' || c.is_ascii_digit());
    match described {
        "ping" => 200,
        // No application's key is an operator's.
        "registry" | "registered_application" if refusal == 403 => 401,
        "upload"
        | "report_error"
        | "begin_resumable_upload"
        | "append_to_upload"
        | "resumable_offset"
        | "resumable_options"
        | "terminate_upload"
        | "registry"
        | "registered_application" => refusal,
        _ => panic!("{} has no row: say what strangers get", operation.id),
    }
}

#[tokio::test]
async fn a_customers_identity_opens_nothing_on_the_internal_api_and_a_key_nothing_on_the_public_one() {
    let app = TestApp::start().await;
    let owner = Customer::new();
    let export = app.complete(&owner, &wanted(), |_| "[1]".into()).await;
    let key = SourceApplication::named(SOURCE_APPLICATION).key;
    let post = app.answer_unidentified(reqwest::Method::POST, &format!("{}/upload", export.sources[0].path));
    assert_eq!(post.header("x-rh-identity", owner.header()).send().await.unwrap().status(), 400);
    let get = app.ask_unidentified(reqwest::Method::GET, &export.path());
    assert_eq!(get.header("x-rh-exports-psk", &key).send().await.unwrap().status(), 401);
    app.end().await;
}
