//! What is refused, and why. What is delivered is tested with the platform (`e2e`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use export_source::Request;
use inventory_source::answer::answer;
use serde_json::{Value, json};

fn request(resource: &str, filters: &Value) -> Request {
    let event = json!({
        "id": "e", "type": "com.redhat.console.export-service.request", "redhatorgid": "1",
        "data": {"resource_request": {
            "uuid": "22222222-2222-4222-8222-222222222222",
            "export_request_uuid": "11111111-1111-4111-8111-111111111111",
            "application": "inventory", "format": "json", "resource": resource, "x-rh-identity": "e30=",
            "filters": filters}}
    });
    Request::decode(event.to_string().as_bytes()).unwrap()
}

#[tokio::test]
async fn what_can_be_answered_is() {
    for (resource, filters) in
        [("packages", json!({"section": ["libs", "net"]})), ("processes", json!({})), ("mounts", Value::Null)]
    {
        assert!(answer(request(resource, &filters)).await.is_ok(), "{resource}");
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_a_reason() {
    for (request, code) in [
        (request("toasters", &json!({})), 404),
        (request("packages", &json!({"colour": "red"})), 400),
        (request("packages", &json!({"name": {"like": "z"}})), 400),
    ] {
        let refusal = answer(request).await.unwrap_err();
        assert_eq!(refusal.code, code);
        assert!(!refusal.message.is_empty());
    }
}
