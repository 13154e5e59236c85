//! The source applications of an installation, and what may be asked of each.

mod changes;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ApplicationName, ByteSize, CsvOptions, ExportFormat, KeyHash, Period, ResourceName};

pub use changes::{Change, changes};

/// Two, so that a new key can be handed out before the old one is withdrawn.
pub const MAX_KEYS: usize = 2;

/// The largest upload that the parts of one object can hold when it does not compress (S0-48).
pub const LARGEST_UPLOAD: ByteSize = ByteSize::from_mib(128 * 1024);

/// Every application by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeMap<ApplicationName, Application>")]
#[schemars(with = "BTreeMap<String, Application>")]
pub struct Registry(BTreeMap<ApplicationName, Application>);

/// An application whose data can be exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Application {
    /// What customers read instead of the name.
    pub title: String,
    /// The team that answers for it.
    pub owner: String,
    /// How that team is reached.
    pub contact: String,
    /// How to view the data, who may access it, and how to ask for access: what customers read.
    pub documentation: String,
    /// Where there is more to read.
    pub documentation_url: String,
    /// What customers may ask of it.
    pub resources: BTreeMap<ResourceName, Resource>,
    /// SHA-256 of keys that it may call the internal API with. Keys can be made by command as well; two are
    /// live at a time, whichever way they came.
    pub keys_sha256: Vec<KeyHash>,
    /// The clients of the `OpenID` issuer that may call in its name.
    pub oidc_clients: BTreeSet<String>,
    /// Whether its finished data is announced to data pipelines.
    pub announce: bool,
    /// Largest upload of its resources that have no limit of their own; without it the internal API's counts.
    pub max_upload_bytes: Option<ByteSize>,
    /// Hosts from which it may hand in archives by announcing them.
    pub announce_hosts: BTreeSet<String>,
}

/// One thing that customers may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resource {
    /// What customers read instead of the name.
    pub title: String,
    /// The formats it comes in; all of them when none is named.
    pub formats: BTreeSet<ExportFormat>,
    /// What is done to its CSV unless a request asks otherwise; nothing when not given.
    pub csv: Option<CsvOptions>,
    /// Largest upload; without it the application's limit counts.
    pub max_upload_bytes: Option<ByteSize>,
    /// How long the application has for an answer, from when it is asked first until the source fails; without it
    /// the public API's own setting counts. All tries share this time: it does not begin anew with each.
    pub answer_within: Option<Period>,
    /// How often it is asked within that time, the first time included; without it the public API's own setting
    /// counts. Each wait for an answer is twice as long as the one before: of 7 hours and 3 tries, 1, 2 and 4.
    /// With 1 it is never asked again.
    pub max_tries: Option<u32>,
}

/// Something that a customer may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// Whose it is.
    pub application: &'a ApplicationName,
    /// Its name.
    pub resource: &'a ResourceName,
    /// What is said of it.
    pub entry: &'a Resource,
}

/// What a registry must not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRegistry {
    /// An application has more than two keys.
    #[error("application `{0}` has more than two keys")]
    TooManyKeys(ApplicationName),
    /// Two applications have the same key, or one has it twice: then it would not say who calls.
    #[error("a key of application `{0}` is there twice")]
    SharedKey(ApplicationName),
    /// It is no host name or address, or more than that.
    #[error("announce_hosts of application `{0}`: `{1}` is not a host, as in `bucket.s3.amazonaws.com`")]
    Host(ApplicationName, String),
    /// A limit of 0, with which no source could be answered, or above what object storage takes.
    #[error("{1} of application `{0}`, or of a resource of it, is 0 or above {LARGEST_UPLOAD}")]
    Limit(ApplicationName, &'static str),
}

impl TryFrom<BTreeMap<ApplicationName, Application>> for Registry {
    type Error = InvalidRegistry;

    fn try_from(applications: BTreeMap<ApplicationName, Application>) -> Result<Self, Self::Error> {
        Self::new(applications)
    }
}

impl Registry {
    /// Takes the applications.
    ///
    /// # Errors
    /// [`InvalidRegistry`].
    pub fn new(applications: BTreeMap<ApplicationName, Application>) -> Result<Self, InvalidRegistry> {
        let mut seen = BTreeSet::new();
        for (name, application) in &applications {
            if application.keys_sha256.len() > MAX_KEYS {
                return Err(InvalidRegistry::TooManyKeys(name.clone()));
            }
            if !application.keys_sha256.iter().all(|key| seen.insert(key.clone())) {
                return Err(InvalidRegistry::SharedKey(name.clone()));
            }
            if let Some(host) = application.announce_hosts.iter().find(|host| !is_host(host)) {
                return Err(InvalidRegistry::Host(name.clone(), host.clone()));
            }
            application.check_limits().map_err(|what| InvalidRegistry::Limit(name.clone(), what))?;
        }
        Ok(Self(applications))
    }

    /// The application `name`.
    pub fn application(&self, name: &ApplicationName) -> Option<&Application> {
        self.0.get(name)
    }

    /// All applications, in the order of their names.
    pub fn applications(&self) -> impl Iterator<Item = (&ApplicationName, &Application)> {
        self.0.iter()
    }

    /// Whether any application may call with tokens.
    pub fn has_client(&self) -> bool {
        self.0.values().any(|application| !application.oidc_clients.is_empty())
    }

    /// Looks up a source by the names and the format that a customer gave (S0-42).
    ///
    /// # Errors
    /// [`NotOffered`] unless the application is known, has the resource, and offers the format.
    pub fn find(
        &self,
        application: &str,
        resource: &str,
        format: ExportFormat,
    ) -> Result<Offer<'_>, NotOffered> {
        let application = ApplicationName::parse(application).map_err(|_| NotOffered)?;
        let resource = ResourceName::parse(resource).map_err(|_| NotOffered)?;
        let (application, entry) = self.0.get_key_value(&application).ok_or(NotOffered)?;
        let (resource, entry) = entry.resources.get_key_value(&resource).ok_or(NotOffered)?;
        if entry.offers(format) { Ok(Offer { application, resource, entry }) } else { Err(NotOffered) }
    }
}

impl Resource {
    /// Whether it comes in `format`.
    pub fn offers(&self, format: ExportFormat) -> bool {
        self.formats.is_empty() || self.formats.contains(&format)
    }
}

impl Application {
    /// Reads what a version of this program has stored. What only a newer one knows is passed over, so that
    /// a rollback does not close the platform.
    ///
    /// # Errors
    /// When a setting has another form than here.
    pub fn from_stored(mut document: Value) -> Result<Self, serde_json::Error> {
        let known = serde_json::to_value(Self::default())?;
        let known_of_resource = serde_json::to_value(Resource::default())?;
        let known_of_csv = serde_json::to_value(CsvOptions::default())?;
        retain(&mut document, &known);
        if let Some(Value::Object(resources)) = document.get_mut("resources") {
            for resource in resources.values_mut() {
                retain(resource, &known_of_resource);
                if let Some(csv) = resource.get_mut("csv") {
                    retain(csv, &known_of_csv);
                }
            }
        }
        serde_json::from_value(document)
    }

    /// The settings as the registry file has them, but for the keys.
    pub fn without_keys(&self) -> Value {
        let mut settings = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(settings) = &mut settings {
            settings.remove("keys_sha256");
        }
        settings
    }

    /// The largest upload for `resource`, where the registry says it.
    pub fn max_upload_bytes(&self, resource: &ResourceName) -> Option<ByteSize> {
        self.resources.get(resource).and_then(|entry| entry.max_upload_bytes).or(self.max_upload_bytes)
    }

    fn check_limits(&self) -> Result<(), &'static str> {
        let sizes = self.resources.values().filter_map(|entry| entry.max_upload_bytes);
        if sizes.chain(self.max_upload_bytes).any(|limit| limit.bytes() == 0 || limit > LARGEST_UPLOAD) {
            return Err("max_upload_bytes");
        }
        if self.resources.values().any(|entry| entry.max_tries == Some(0)) {
            return Err("max_tries");
        }
        let periods = self.resources.values().filter_map(|entry| entry.answer_within);
        if periods.into_iter().any(|period| period.as_duration().is_zero()) {
            return Err("answer_within");
        }
        Ok(())
    }
}

/// An application or a resource that customers may not ask for (S0-42).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Payload does not match Configured Exports")]
pub struct NotOffered;

/// A name or an address without scheme, port, path or user.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

/// Drops the entries of `document` that `known` does not have.
fn retain(document: &mut Value, known: &Value) {
    if let Value::Object(entries) = document {
        entries.retain(|name, _| known.get(name).is_some());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn registry(value: Value) -> Result<Registry, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_offered_cannot_be_asked_for() {
        let resources = json!({"both": {}, "only-csv": {"formats": ["csv"]}});
        let registry = registry(json!({"a": {"resources": resources}, "b": {}})).unwrap();
        let offered = |application, resource, format| registry.find(application, resource, format).is_ok();
        assert!(offered("a", "both", ExportFormat::Json) && offered("a", "both", ExportFormat::Csv));
        assert!(offered("a", "only-csv", ExportFormat::Csv));
        assert!(!offered("a", "only-csv", ExportFormat::Json));
        assert!(!offered("a", "other", ExportFormat::Csv));
        assert!(!offered("b", "both", ExportFormat::Csv));
        assert!(!offered("c", "both", ExportFormat::Csv));
        assert!(!offered("", "", ExportFormat::Csv));
    }

    #[test]
    fn a_limit_of_a_resource_counts_before_that_of_its_application() {
        let resources = json!({"own": {"max_upload_bytes": "1MiB"}, "common": {}});
        let registry = registry(json!({"a": {"max_upload_bytes": "2MiB", "resources": resources}})).unwrap();
        let application = registry.application(&ApplicationName::parse("a").unwrap()).unwrap();
        let limit = |resource| application.max_upload_bytes(&ResourceName::parse(resource).unwrap());
        assert_eq!(limit("own"), Some(ByteSize::from_mib(1)));
        assert_eq!(limit("common"), Some(ByteSize::from_mib(2)));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let (one, two, three) = ("1".repeat(64), "2".repeat(64), "3".repeat(64));
        for (application, reason) in [
            (json!({"keys_sha256": [one, two, three]}), "more than two keys"),
            (json!({"keys_sha256": [one, one]}), "there twice"),
            (json!({"announce_hosts": ["https://host"]}), "is not a host"),
            (json!({"announce_hosts": ["host:443"]}), "is not a host"),
            (json!({"max_upload_bytes": "129GiB"}), "max_upload_bytes"),
            (json!({"resources": {"r": {"max_upload_bytes": "0B"}}}), "max_upload_bytes"),
            (json!({"resources": {"r": {"max_tries": 0}}}), "max_tries"),
            (json!({"resources": {"r": {"answer_within": "0s"}}}), "answer_within"),
            (json!({"resources": {"r": {"titel": ""}}}), "unknown field `titel`"),
            (json!({"resources": {"r": {"csv": {"guard": true}}}}), "unknown field `guard`"),
            (json!({"ressources": {}}), "unknown field `ressources`"),
        ] {
            let refusal = registry(json!({"a": application})).unwrap_err();
            assert!(refusal.contains(reason), "{refusal}");
        }
        let shared = registry(json!({"a": {"keys_sha256": [one]}, "b": {"keys_sha256": [one]}}));
        assert!(shared.unwrap_err().contains("application `b` is there twice"));
    }

    #[test]
    fn what_a_newer_version_has_stored_is_passed_over() {
        let csv = json!({"bom": true, "newest": 1});
        let stored =
            json!({"title": "A", "new": 1, "resources": {"r": {"title": "R", "newer": {}, "csv": csv}}});
        let application = Application::from_stored(stored).unwrap();
        assert_eq!(application.title, "A");
        let resource = &application.resources[&ResourceName::parse("r").unwrap()];
        assert_eq!(resource.title, "R");
        assert_eq!(resource.csv, Some(CsvOptions { formula_guard: false, bom: true }));
    }
}
