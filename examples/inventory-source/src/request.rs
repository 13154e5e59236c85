//! The request event, as far as this application needs it.

use serde::Deserialize;
use serde_json::{Map, Value};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Request {
    /// The resource's id.
    pub uuid: String,
    /// The export's id.
    pub export_request_uuid: String,
    /// The application that is asked.
    pub application: String,
    /// `json` or `csv`.
    pub format: Format,
    /// What is asked of it.
    pub resource: String,
    /// Which rows; absent for all.
    #[serde(default)]
    pub filters: Map<String, Value>,
}

/// The format to answer in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An array of objects.
    Json,
    /// A header, then rows; RFC 4180.
    Csv,
}

#[derive(Deserialize)]
struct Event {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    resource_request: Request,
}

impl Request {
    /// Reads the value of a Kafka record.
    ///
    /// # Errors
    /// When it is not a request event.
    pub fn parse(payload: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice::<Event>(payload).map(|event| event.data.resource_request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_from_its_place_in_the_event() {
        let event = br#"{"id":"e","data":{"resource_request":{"uuid":"r","export_request_uuid":"x",
            "application":"inventory","format":"csv","resource":"packages","x-rh-identity":"e30=",
            "filters":{"section":"libs"}}}}"#;
        let request = Request::parse(event).unwrap();
        assert_eq!((request.format, request.resource.as_str()), (Format::Csv, "packages"));
        assert_eq!(request.filters["section"], "libs");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert!(Request::parse(b"{}").is_err());
        assert!(Request::parse(br#"{"uuid":"flat"}"#).is_err());
    }
}
