//! Reading an announcement (contract page 2, S2-3 to S2-15). It comes from strangers: whatever it holds, it is
//! read or refused.

use std::fmt;

use chrono::DateTime;
use domain::{
    ApplicationName,
    ids::{ExportId, ResourceId},
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// An archive that an application hands in.
#[derive(Clone, PartialEq, Eq)]
pub struct Announced {
    /// Where it can be fetched. Whoever has it can fetch: it must not be logged.
    pub url: String,
    /// Whose it is: base64 of an identity document.
    pub b64_identity: String,
    /// The export that it is for.
    pub export_id: ExportId,
    /// The application that answers.
    pub application: ApplicationName,
    /// The source that it answers for.
    pub resource_id: ResourceId,
}

/// Ids only: the URL is signed, and the identity says who the customer is.
impl fmt::Debug for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announced")
            .field("export_id", &self.export_id)
            .field("application", &self.application)
            .field("resource_id", &self.resource_id)
            .finish_non_exhaustive()
    }
}

/// Why a record is no announcement that can be followed. Its text repeats nothing of the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnnouncement {
    /// It is no JSON, or a field has another type than the contract's.
    #[error("the record is no announcement: line {line}, column {column}")]
    Malformed {
        /// Where it begins to be none, from 1.
        line: usize,
        /// Where in that line, from 0.
        column: usize,
    },
    /// A field that has to be there is missing or empty.
    #[error("the record has no `{0}`")]
    Missing(&'static str),
    /// A field does not hold what it should.
    #[error("the record's `{0}` is not valid")]
    Invalid(&'static str),
}

/// The record's fields; unknown ones are passed over.
#[derive(Deserialize)]
struct Fields {
    url: Option<String>,
    b64_identity: Option<String>,
    timestamp: Option<String>,
    account: Option<NumberOrText>,
    principal: Option<NumberOrText>,
    #[serde(rename = "size")]
    _size: Option<u64>,
    #[serde(rename = "category")]
    _category: Option<String>,
    metadata: Option<Map<String, Value>>,
    #[serde(rename = "request_id")]
    _request_id: Option<String>,
    #[serde(rename = "service")]
    _service: Option<String>,
    version: Option<u64>,
}

/// An unsigned integer, which comes as a string in the field.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    #[expect(dead_code, reason = "any number will do")]
    Number(u64),
    Text(String),
}

/// Reads the value of a record. Both profiles' types are taken, and versions that are not known yet.
///
/// # Errors
/// [`InvalidAnnouncement`] names the first thing that is wrong.
pub fn parse_announcement(value: &[u8]) -> Result<Announced, InvalidAnnouncement> {
    let fields: Fields = serde_json::from_slice(value)
        .map_err(|error| InvalidAnnouncement::Malformed { line: error.line(), column: error.column() })?;
    let url = required(fields.url, "url")?;
    let b64_identity = required(fields.b64_identity, "b64_identity")?;
    let timestamp = required(fields.timestamp, "timestamp")?;
    DateTime::parse_from_rfc3339(&timestamp).map_err(|_| InvalidAnnouncement::Invalid("timestamp"))?;
    if fields.version == Some(0) {
        return Err(InvalidAnnouncement::Invalid("version"));
    }
    for (number, name) in [(&fields.account, "account"), (&fields.principal, "principal")] {
        if matches!(number, Some(NumberOrText::Text(text)) if text.contains(char::is_control)) {
            return Err(InvalidAnnouncement::Invalid(name));
        }
    }
    let answered = fields.metadata.unwrap_or_default();
    let answered = answered.get("custom_metadata").and_then(|custom| custom.get("export_service"));
    let answered = answered.ok_or(InvalidAnnouncement::Missing(ANSWERED))?;
    let named = |name| answered.get(name).and_then(Value::as_str);
    Ok(Announced {
        url,
        b64_identity,
        export_id: id(named("export_id"), "export_id")?,
        application: named("application")
            .and_then(|name| ApplicationName::parse(name).ok())
            .ok_or(InvalidAnnouncement::Invalid("application"))?,
        resource_id: id(named("resource_id"), "resource_id")?,
    })
}

/// Where a record says which source its archive answers for.
const ANSWERED: &str = "metadata.custom_metadata.export_service";

fn required(field: Option<String>, name: &'static str) -> Result<String, InvalidAnnouncement> {
    field.filter(|text| !text.is_empty()).ok_or(InvalidAnnouncement::Missing(name))
}

fn id<T: std::str::FromStr>(text: Option<&str>, name: &'static str) -> Result<T, InvalidAnnouncement> {
    text.and_then(|text| text.parse().ok()).ok_or(InvalidAnnouncement::Invalid(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const EXPORT: &str = "9a3d1b52-16e8-4f22-8b1e-63b2f6a6e0aa";
    const RESOURCE: &str = "0b69f1f5-4e37-4a41-9ff5-5f0c2f5d7fd9";

    fn answered() -> Value {
        json!({"custom_metadata": {"export_service":
            {"export_id": EXPORT, "application": "inventory", "resource_id": RESOURCE}}})
    }

    /// The seed's record without optional attributes, and what says which source it answers.
    fn minimal() -> Value {
        json!({
            "url": "https://hostname.s3.amazonaws.com/first-part?X-Amz-Algorithm=algorithm&X-Amz-Credential=\
                    credential-info&X-Amz-Date=creation-date&X-Amz-Expires=expiration-time&X-Amz-SignedHeaders=\
                    host&X-Amz-Signature=signature",
            "b64_identity": "encoded-identity-info",
            "timestamp": "2020-01-23T16:15:59.478901889Z",
            "metadata": answered(),
        })
    }

    /// The seed's record with all of them.
    fn full() -> Value {
        let mut record = minimal();
        record["account"] = json!(123_456);
        record["principal"] = json!(9);
        record["size"] = json!(55_099);
        record["category"] = json!("test");
        record["request_id"] = json!("b44bfb83b8b0e4a7aad8b64b43879846");
        record["metadata"]["reporter"] = json!("");
        record["metadata"]["stale_timestamp"] = json!("0001-01-01T00:00:00Z");
        record["metadata"]["custom_metadata"]["ccx_metadata"] =
            json!({"gathering_time": "2022-03-02T00:01:02Z"});
        record
    }

    fn parse(record: &Value) -> Result<Announced, InvalidAnnouncement> {
        parse_announcement(record.to_string().as_bytes())
    }

    #[test]
    fn s2_3_to_s2_5_the_seeds_minimal_record_is_read() {
        let announced = parse(&minimal()).unwrap();
        assert!(announced.url.ends_with("X-Amz-Signature=signature"));
        assert_eq!(announced.b64_identity, "encoded-identity-info");
        assert_eq!(announced.export_id.to_string(), EXPORT);
        assert_eq!(announced.application.as_str(), "inventory");
        assert_eq!(announced.resource_id.to_string(), RESOURCE);
        let shown = format!("{announced:?}");
        assert!(!shown.contains("signature") && !shown.contains("encoded"), "{shown}");
    }

    #[test]
    fn s2_6_to_s2_12_both_profiles_are_read() {
        let seed = full();
        let mut ingress = full();
        ingress["account"] = json!("123456");
        ingress["principal"] = json!("9");
        ingress["service"] = json!("exports-intake");
        ingress["metadata"]["reporter"] = json!("ingress");
        assert_eq!(parse(&seed).unwrap(), parse(&ingress).unwrap());
        let mut nulls = full();
        for optional in ["account", "principal", "size", "category", "request_id", "service", "version"] {
            nulls[optional] = Value::Null;
        }
        assert_eq!(parse(&seed).unwrap(), parse(&nulls).unwrap());
    }

    #[test]
    fn s2_15_unknown_versions_and_unknown_keys_are_accepted() {
        let mut record = minimal();
        record["new"] = json!({"any": [1, 2]});
        for version in [1_u64, 2, 4_000_000_000] {
            record["version"] = json!(version);
            assert!(parse(&record).is_ok(), "{version}");
        }
        for wrong in [json!(0), json!(-1), json!(1.5), json!("1")] {
            record["version"] = wrong;
            assert!(parse(&record).is_err());
        }
    }

    #[test]
    fn s2_5_a_timestamp_has_a_time_zone_and_up_to_nanoseconds() {
        let mut record = minimal();
        for (timestamp, valid) in [
            ("2020-01-23T16:15:59Z", true),
            ("2020-01-23T16:15:59.4+02:00", true),
            ("0001-01-01T00:00:00Z", true),
            ("2020-01-23T16:15:59", false),
            ("yesterday", false),
        ] {
            record["timestamp"] = json!(timestamp);
            assert_eq!(parse(&record).is_ok(), valid, "{timestamp}");
        }
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_said() {
        for (field, value, refusal) in [
            ("url", Value::Null, "the record has no `url`"),
            ("url", json!(""), "the record has no `url`"),
            ("b64_identity", Value::Null, "the record has no `b64_identity`"),
            ("timestamp", Value::Null, "the record has no `timestamp`"),
            ("metadata", Value::Null, "the record has no `metadata.custom_metadata.export_service`"),
            (
                "metadata",
                json!({"custom_metadata": {}}),
                "the record has no `metadata.custom_metadata.export_service`",
            ),
            ("account", json!("1\n2"), "the record's `account` is not valid"),
        ] {
            let mut record = full();
            record[field] = value;
            assert_eq!(parse(&record).unwrap_err().to_string(), refusal);
        }
        for (field, value) in [
            ("url", json!(7)),
            ("account", json!(-1)),
            ("account", json!([])),
            ("principal", json!(1.5)),
            ("size", json!("55099")),
            ("metadata", json!("text")),
            ("category", json!(1)),
        ] {
            let mut record = full();
            record[field] = value;
            assert!(matches!(parse(&record), Err(InvalidAnnouncement::Malformed { .. })), "{field}");
        }
        for (name, value) in
            [("export_id", json!("x")), ("resource_id", json!(1)), ("application", json!(""))]
        {
            let mut record = full();
            record["metadata"]["custom_metadata"]["export_service"][name] = value;
            assert_eq!(parse(&record), Err(InvalidAnnouncement::Invalid(name)));
        }
        assert!(parse_announcement(b"").is_err());
        assert!(parse_announcement(b"null").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = parse_announcement(&bytes);
        }

        #[test]
        fn no_change_of_a_good_record_makes_it_panic(place: prop::sample::Index, byte: u8) {
            let mut bytes = full().to_string().into_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let _ = parse_announcement(&bytes);
        }
    }
}
