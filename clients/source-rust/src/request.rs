//! The request event (S0-2 … S0-16 of the platform's contract), as far as an application needs it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The type of the events that are requests (S0-7).
const TYPE: &str = "com.redhat.console.export-service.request";

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The same for each copy of the same request.
    pub event_id: String,
    /// The export that it is a part of.
    pub export: Uuid,
    /// The part itself: one resource of one export.
    pub id: Uuid,
    /// The application that is asked: yours.
    pub application: String,
    /// What is asked of it.
    pub resource: String,
    /// The format to answer in.
    pub format: Format,
    /// Which rows; empty for all. What is allowed in here is agreed between you and your customers.
    pub filters: Map<String, Value>,
    /// The organisation that the customer belongs to.
    pub org_id: String,
    /// Who asks. Give them only what they may see.
    pub identity: Identity,
}

/// The format to answer in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An array of objects.
    Json,
    /// A header, then rows (RFC 4180).
    Csv,
}

impl Format {
    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
        }
    }
}

/// Who asks: the header `x-rh-identity` of the customer's call. It does not show in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(String);

impl Identity {
    /// As it was received: JSON in base64.
    pub fn header(&self) -> &str {
        &self.0
    }

    /// The object `identity` within; None when the header is something else.
    pub fn decode(&self) -> Option<Value> {
        let engines =
            [&general_purpose::STANDARD, &general_purpose::URL_SAFE, &general_purpose::STANDARD_NO_PAD];
        let json = engines.into_iter().find_map(|engine| engine.decode(self.0.trim()).ok())?;
        let mut value: Value = serde_json::from_slice(&json).ok()?;
        value.get_mut("identity").map(Value::take)
    }

    /// The name of the user, service account or system (S0-20); None when there is none.
    pub fn username(&self) -> Option<String> {
        let identity = self.decode()?;
        let kind = identity.get("type")?.as_str()?.to_ascii_lowercase();
        let name = match kind.as_str() {
            "user" => identity.get("user")?.get("username")?,
            "serviceaccount" => identity.get("service_account")?.get("username")?,
            "system" => identity.get("system")?.get("cn")?,
            _ => return None,
        };
        name.as_str().map(str::to_owned)
    }

    /// The account number; None when there is none.
    pub fn account_number(&self) -> Option<String> {
        self.decode()?.get("account_number")?.as_str().map(str::to_owned)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why the value of a record is not a request that can be answered.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// Nobody can be answered: there is no telling what was asked.
    #[error("not a request event: {0}")]
    NotARequest(String),
    /// A request in a format that this library does not know.
    #[error("the format is not known")]
    Format(Box<Request>),
}

#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    redhatorgid: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    resource_request: ResourceRequest,
}

#[derive(Deserialize)]
struct ResourceRequest {
    uuid: Uuid,
    export_request_uuid: Uuid,
    application: String,
    format: String,
    resource: String,
    #[serde(rename = "x-rh-identity")]
    identity: String,
    // Null and absent mean the same.
    filters: Option<Map<String, Value>>,
}

impl Request {
    /// Reads the value of a Kafka record. [`crate::Source`] does this; your tests may, too.
    ///
    /// # Errors
    /// [`Undecodable`] says whether the request can be refused or there is none.
    pub fn decode(value: &[u8]) -> Result<Self, Undecodable> {
        let event: Event =
            serde_json::from_slice(value).map_err(|error| Undecodable::NotARequest(without_data(&error)))?;
        if event.kind != TYPE {
            return Err(Undecodable::NotARequest("it is of another type".to_owned()));
        }
        let asked = event.data.resource_request;
        let format = match asked.format.as_str() {
            "json" => Some(Format::Json),
            "csv" => Some(Format::Csv),
            _ => None,
        };
        let request = Self {
            event_id: event.id,
            export: asked.export_request_uuid,
            id: asked.uuid,
            application: asked.application,
            resource: asked.resource,
            format: format.unwrap_or(Format::Json),
            filters: asked.filters.unwrap_or_default(),
            org_id: event.redhatorgid,
            identity: Identity(asked.identity),
        };
        if format.is_none() { Err(Undecodable::Format(Box::new(request))) } else { Ok(request) }
    }
}

/// What is wrong, for logs. The value that is wrong may be a customer's.
fn without_data(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (text.split_once(": "), text.rsplit_once(", expected ")) {
        (Some((what, _)), Some((_, expected))) => format!("{what}, expected {expected}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Value {
        json!({
            "id": "cb5a9e33-3b4c-4aee-a5f5-9f5b1c2fbb8a", "type": TYPE, "redhatorgid": "org",
            "data": {"resource_request": {
                "uuid": "2b1a9e33-3b4c-4aee-a5f5-9f5b1c2fbb8a",
                "export_request_uuid": "1b1a9e33-3b4c-4aee-a5f5-9f5b1c2fbb8a",
                "application": "billing", "format": "csv", "resource": "invoices",
                "x-rh-identity": general_purpose::STANDARD.encode(
                    r#"{"identity":{"type":"User","account_number":"7","user":{"username":"jdoe"}}}"#),
                "filters": {"year": 2026}}}
        })
    }

    fn decode(event: &Value) -> Result<Request, Undecodable> {
        Request::decode(event.to_string().as_bytes())
    }

    #[test]
    fn a_request_is_read_from_its_place_in_the_event() {
        let request = decode(&event()).unwrap();
        assert_eq!(
            (request.format, request.resource.as_str(), request.org_id.as_str()),
            (Format::Csv, "invoices", "org")
        );
        assert_eq!(request.filters["year"], 2026);
        assert_eq!(request.identity.username().as_deref(), Some("jdoe"));
        assert_eq!(request.identity.account_number().as_deref(), Some("7"));
    }

    #[test]
    fn filters_may_be_null_or_absent() {
        let mut event = event();
        event["data"]["resource_request"]["filters"] = Value::Null;
        assert!(decode(&event).unwrap().filters.is_empty());
        event["data"]["resource_request"].as_object_mut().unwrap().remove("filters");
        assert!(decode(&event).unwrap().filters.is_empty());
    }

    #[test]
    fn what_is_no_request_is_told_from_what_asks_for_too_much() {
        for broken in ["{}", "nonsense", r#"{"uuid":"flat"}"#] {
            assert!(matches!(Request::decode(broken.as_bytes()), Err(Undecodable::NotARequest(_))));
        }
        let mut other = event();
        other["type"] = json!("another");
        assert!(matches!(decode(&other), Err(Undecodable::NotARequest(_))));
        let mut pdf = event();
        pdf["data"]["resource_request"]["format"] = json!("pdf");
        assert!(matches!(decode(&pdf), Err(Undecodable::Format(_))));
    }

    #[test]
    fn what_is_wrong_with_a_record_does_not_tell_its_data() {
        for (field, wrong) in [("filters", json!("hunter2, expected")), ("format", json!({"hunter2": 1}))] {
            let mut event = event();
            event["data"]["resource_request"][field] = wrong;
            let error = decode(&event).unwrap_err().to_string();
            assert!(error.contains("invalid type") && !error.contains("hunter2"), "{error}");
        }
        let mut event = event();
        event.as_object_mut().unwrap().remove("redhatorgid");
        assert!(decode(&event).unwrap_err().to_string().contains("redhatorgid"));
    }

    #[test]
    fn ids_cannot_lead_elsewhere() {
        let mut event = event();
        event["data"]["resource_request"]["uuid"] = json!("../../x?y");
        assert!(matches!(decode(&event), Err(Undecodable::NotARequest(_))));
    }

    #[test]
    fn the_identity_does_not_show() {
        let request = decode(&event()).unwrap();
        assert!(!format!("{request:?}").contains(request.identity.header()));
    }
}
