//! Writing an announcement (contract page 2).

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};
use chrono::SecondsFormat;
use domain::{Announcement, Record, Secret};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{AnnounceProfile, AnnounceSettings};

/// What `metadata.reporter` says of our records.
const REPORTER: &str = "export-service";

/// The version of the schema (S2-15).
const VERSION: u32 = 1;

/// Gateways differ in whether they pad.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why there is no record for an announcement. Its text shows nothing of the identity.
#[derive(Debug, thiserror::Error)]
pub enum AnnouncementError {
    /// The identity is not base64 of a JSON object that has an object `identity`.
    #[error("the identity of the announcement cannot be read")]
    Identity,
    /// It cannot be written as JSON.
    #[error("the announcement is not JSON")]
    Json(#[source] serde_json::Error),
}

/// Renders announcements.
#[derive(Debug, Clone)]
pub struct Announcements {
    settings: AnnounceSettings,
}

/// The record as it is written.
#[derive(Serialize)]
struct Fields<'a> {
    version: u32,
    url: &'a str,
    b64_identity: &'a str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Value>,
    size: u64,
    category: &'a str,
    metadata: Value,
    request_id: String,
    service: &'a str,
}

impl Announcements {
    /// A renderer with these constants.
    pub fn new(settings: AnnounceSettings) -> Self {
        Self { settings }
    }

    /// The record that announces `announcement` by `url`, which was signed for it just now.
    ///
    /// # Errors
    /// [`AnnouncementError`] when it cannot be written.
    pub fn render(&self, announcement: &Announcement, url: &Secret) -> Result<Record, AnnouncementError> {
        let identity = identity(&announcement.identity).ok_or(AnnouncementError::Identity)?;
        let written = BASE64_STANDARD.encode(identity.to_string());
        let service = &self.settings.produce_service;
        let fields = Fields {
            version: VERSION,
            url: url.expose(),
            b64_identity: &written,
            timestamp: announcement.time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            account: self.number(&identity["identity"]["account_number"]),
            principal: self.number(&identity["identity"]["internal"]["org_id"]),
            size: announcement.stored_bytes,
            category: announcement.resource.as_str(),
            metadata: metadata(announcement),
            request_id: announcement.id.as_uuid().simple().to_string(),
            service,
        };
        Ok(Record {
            topic: self.settings.topic.clone(),
            key: announcement.export_id.to_string(),
            headers: vec![("service".to_owned(), service.clone())],
            payload: serde_json::to_vec(&fields).map_err(AnnouncementError::Json)?,
        })
    }

    /// `account` or `principal` in the type of the profile; None when it has none of that type (S2-6, S2-7).
    fn number(&self, text: &Value) -> Option<Value> {
        let text = text.as_str().filter(|text| !text.is_empty())?;
        match self.settings.profile {
            AnnounceProfile::Ingress => Some(json!(text)),
            AnnounceProfile::Seed => text.parse::<u64>().ok().map(Value::from),
        }
    }
}

/// What pipelines pass on, and which source the data is of.
fn metadata(announcement: &Announcement) -> Value {
    json!({
        "reporter": REPORTER,
        "stale_timestamp": announcement.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "custom_metadata": {"export_service": {
            "export_id": announcement.export_id,
            "application": announcement.application,
            "resource": announcement.resource,
            "resource_id": announcement.resource_id,
            "format": announcement.format,
        }},
    })
}

/// The document of an x-rh-identity header with everything that is written of it: `account_number`,
/// `auth_type`, `internal.org_id` and `type`, whatever the gateway left out, and `cn` in its canonical form.
fn identity(header: &str) -> Option<Value> {
    let mut document: Value = serde_json::from_slice(&LENIENT.decode(header).ok()?).ok()?;
    let identity = document.get_mut("identity")?.as_object_mut()?;
    let org_id = org_id(identity)?;
    let auth_type = auth_type(identity);
    set_unless_text(identity, "account_number", "");
    set_unless_text(identity, "auth_type", auth_type);
    set_unless_text(identity, "type", "User");
    let internal = identity.entry("internal").or_insert_with(|| json!({}));
    if !internal.is_object() {
        *internal = json!({});
    }
    internal["org_id"] = json!(org_id);
    if let Some(cn) = identity.get_mut("system").and_then(|system| system.get_mut("cn"))
        && let Some(canonical) = cn.as_str().and_then(|text| Uuid::parse_str(text).ok())
    {
        *cn = json!(canonical.hyphenated().to_string());
    }
    Some(document)
}

fn org_id(identity: &Map<String, Value>) -> Option<String> {
    let own = identity.get("org_id").and_then(Value::as_str).filter(|text| !text.is_empty());
    let internal = || identity.get("internal")?.get("org_id")?.as_str();
    own.or_else(internal).map(str::to_owned)
}

/// How a caller of its type comes in, where the gateway did not say it.
fn auth_type(identity: &Map<String, Value>) -> &'static str {
    let kind = identity.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind.to_ascii_lowercase().as_str() {
        "system" => "cert-auth",
        "serviceaccount" => "jwt-auth",
        _ => "basic-auth",
    }
}

fn set_unless_text(identity: &mut Map<String, Value>, key: &str, value: &str) {
    if !identity.get(key).is_some_and(Value::is_string) {
        identity.insert(key.to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use domain::{
        ApplicationName, ExportFormat, ResourceName,
        ids::{EventId, ExportId, ResourceId},
    };

    use super::*;
    use crate::parse_announcement;

    const URL: &str = "https://hostname.s3.amazonaws.com/first-part?X-Amz-Algorithm=algorithm&X-Amz-Credential=\
                       credential-info&X-Amz-Date=creation-date&X-Amz-Expires=expiration-time&\
                       X-Amz-SignedHeaders=host&X-Amz-Signature=signature";

    /// The identities of the seed, with the braces and commas that it leaves out.
    fn seed(kind: &str) -> Value {
        let user = json!({"email": "foo@bar.com", "first_name": "John", "is_active": true,
            "is_internal": false, "is_org_admin": true, "last_name": "Doe", "locale": "en_US",
            "username": "john_doe"});
        let entitlements = json!({"first_entitlement": {"is_entitled": true, "is_trial": false}});
        match kind {
            "basic-auth" => json!({"identity": {"account_number": "1234567", "auth_type": "basic-auth",
                "internal": {"auth_time": 1400, "org_id": "1234567"}, "type": "User", "user": user}}),
            _ => json!({"identity": {"account_number": "1234567", "auth_type": "cert-auth",
                "internal": {"auth_time": 0, "org_id": "1234567"}, "type": "System", "user": user,
                "system": {"cn": "a259dd72-563a-17d-8e6e4-ca5f63e45824", "cert_type": "system"}},
                "entitlements": entitlements}),
        }
    }

    fn announcement(identity: &Value) -> Announcement {
        let time: DateTime<Utc> = "2020-01-23T16:15:59.478901889Z".parse().unwrap();
        Announcement {
            id: "b44bfb83-b8b0-4e7a-aad8-b64b43879846".parse::<EventId>().unwrap(),
            time,
            export_id: "018cc251-f400-7000-8000-000000000002".parse::<ExportId>().unwrap(),
            resource_id: "018cc251-f400-7000-8000-000000000003".parse::<ResourceId>().unwrap(),
            application: ApplicationName::parse("inventory").unwrap(),
            resource: ResourceName::parse("packages").unwrap(),
            format: ExportFormat::Csv,
            object_key: "exports/a/b".to_owned(),
            stored_bytes: 55_099,
            expires_at: "2020-01-30T16:15:59Z".parse().unwrap(),
            identity: BASE64_STANDARD.encode(identity.to_string()),
        }
    }

    fn rendered(identity: &Value, profile: AnnounceProfile) -> (Record, Value) {
        let settings = AnnounceSettings { profile, ..AnnounceSettings::default() };
        let record =
            Announcements::new(settings).render(&announcement(identity), &Secret::from(URL)).unwrap();
        let body = serde_json::from_slice(&record.payload).unwrap();
        (record, body)
    }

    fn written_identity(identity: &Value) -> Value {
        let (_, body) = rendered(identity, AnnounceProfile::Seed);
        let written = BASE64_STANDARD.decode(body["b64_identity"].as_str().unwrap()).unwrap();
        serde_json::from_slice(&written).unwrap()
    }

    #[test]
    fn s2_3_to_s2_15_a_record_has_every_field_of_the_contract() {
        let (record, mut body) = rendered(&seed("basic-auth"), AnnounceProfile::Seed);
        assert_eq!(
            (record.topic.as_str(), record.key.as_str()),
            ("platform.upload.announce", "018cc251-f400-7000-8000-000000000002")
        );
        assert_eq!(record.headers, [("service".to_owned(), "exports".to_owned())]);
        body["b64_identity"].take();
        assert_eq!(
            body,
            json!({
                "version": 1,
                "url": URL,
                "b64_identity": null,
                "timestamp": "2020-01-23T16:15:59.478901889Z",
                "account": 1_234_567,
                "principal": 1_234_567,
                "size": 55_099,
                "category": "packages",
                "metadata": {
                    "reporter": "export-service",
                    "stale_timestamp": "2020-01-30T16:15:59Z",
                    "custom_metadata": {"export_service": {
                        "export_id": "018cc251-f400-7000-8000-000000000002",
                        "application": "inventory",
                        "resource": "packages",
                        "resource_id": "018cc251-f400-7000-8000-000000000003",
                        "format": "csv",
                    }},
                },
                "request_id": "b44bfb83b8b04e7aaad8b64b43879846",
                "service": "exports",
            })
        );
    }

    #[test]
    fn s2_6_to_s2_8_account_and_principal_have_the_type_of_the_profile() {
        let (_, ingress) = rendered(&seed("basic-auth"), AnnounceProfile::Ingress);
        assert_eq!((&ingress["account"], &ingress["principal"]), (&json!("1234567"), &json!("1234567")));
        assert_eq!(ingress["size"], 55_099);
        // What is no number is not written as one, and what there is not is left out.
        let named = json!({"identity": {"org_id": "acme", "type": "User", "user": {"username": "jdoe"}}});
        let (_, seed) = rendered(&named, AnnounceProfile::Seed);
        assert_eq!((seed.get("account"), seed.get("principal")), (None, None));
        let (_, ingress) = rendered(&named, AnnounceProfile::Ingress);
        assert_eq!((ingress.get("account"), &ingress["principal"]), (None, &json!("acme")));
    }

    #[test]
    fn s2_3_to_s2_15_what_we_write_can_be_read() {
        for profile in [AnnounceProfile::Seed, AnnounceProfile::Ingress] {
            let (record, body) = rendered(&seed("basic-auth"), profile);
            let sent = announcement(&seed("basic-auth"));
            let read = parse_announcement(&record.payload).unwrap();
            assert_eq!(
                (read.url.as_str(), read.b64_identity.as_str()),
                (URL, body["b64_identity"].as_str().unwrap())
            );
            assert_eq!((read.export_id, read.resource_id), (sent.export_id, sent.resource_id));
            assert_eq!(read.application, sent.application);
        }
    }

    #[test]
    fn s2_4_an_identity_that_has_everything_is_passed_on_as_it_is() {
        for kind in ["basic-auth", "cert-auth"] {
            assert_eq!(written_identity(&seed(kind)), seed(kind));
        }
    }

    #[test]
    fn s2_4_what_the_gateway_left_out_is_written() {
        for (kind, auth_type) in
            [("User", "basic-auth"), ("System", "cert-auth"), ("ServiceAccount", "jwt-auth")]
        {
            let identity = written_identity(&json!({"identity": {"org_id": "77", "type": kind}}));
            assert_eq!(
                identity["identity"],
                json!({"org_id": "77", "type": kind, "account_number": "", "auth_type": auth_type,
                    "internal": {"org_id": "77"}})
            );
        }
        let odd = json!({"identity": {"org_id": "77", "type": "User", "internal": 7, "auth_type": null}});
        assert_eq!(written_identity(&odd)["identity"]["internal"], json!({"org_id": "77"}));
    }

    #[test]
    fn s2_4_a_common_name_is_written_in_its_canonical_form() {
        for (cn, written) in [
            ("3BA9B042B8B8471498E917915C2EEB95", "3ba9b042-b8b8-4714-98e9-17915c2eeb95"),
            ("not a uuid", "not a uuid"),
        ] {
            let identity = json!({"identity": {"org_id": "1", "type": "System", "system": {"cn": cn}}});
            assert_eq!(written_identity(&identity)["identity"]["system"]["cn"], written);
        }
    }

    #[test]
    fn an_identity_that_cannot_be_read_is_refused_and_not_shown() {
        for identity in ["hunter2", "", "bnVsbA==", "eyJpZGVudGl0eSI6IDd9"] {
            let announcement = Announcement { identity: identity.to_owned(), ..announcement(&json!(null)) };
            let refusal = Announcements::new(AnnounceSettings::default())
                .render(&announcement, &Secret::from(URL))
                .unwrap_err();
            assert!(matches!(refusal, AnnouncementError::Identity));
            assert!(!format!("{refusal:?} {announcement:?}").contains("hunter2"));
        }
    }
}
