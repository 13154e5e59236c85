//! What a customer may ask for: the body of a create request, checked into a draft (S0-25 to S0-30, S0-42).

mod error;
mod time;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

pub use self::error::CreateError;
pub(crate) use self::error::excerpt;
use self::time::parse_time;
use crate::{
    csv_options::CsvOptions,
    event::RequestEvent,
    export::{Export, ExportFormat, ExportStatus},
    ids::{EventId, ExportId, ResourceId},
    names::{ApplicationName, ExportName, ResourceName},
    period::Period,
    registry::Registry,
    resource::{Resource, ResourceState},
};

/// Limits on what one request may ask for.
#[derive(Debug, Clone)]
pub struct CreateLimits {
    /// Most sources of one export.
    pub max_sources: usize,
    /// How long an export lives when the customer does not say.
    pub default_lifetime: TimeDelta,
    /// Whether an `expires_at` that has passed is refused.
    pub refuse_past_expiry: bool,
}

impl Default for CreateLimits {
    fn default() -> Self {
        Self { max_sources: 1000, default_lifetime: TimeDelta::days(7), refuse_past_expiry: false }
    }
}

/// An export about to be created: checked, with its ids minted.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportDraft {
    /// The id it will have.
    pub id: ExportId,
    /// The customer's name for it.
    pub name: ExportName,
    /// The format of its files.
    pub format: ExportFormat,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
    /// Its sources, in the order of the request; never empty.
    pub sources: Vec<SourceDraft>,
}

/// A source about to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceDraft {
    /// The id it will have.
    pub id: ResourceId,
    /// The id of the event that asks for it.
    pub event_id: EventId,
    /// The application that is asked.
    pub application: ApplicationName,
    /// What it is asked for.
    pub resource: ResourceName,
    /// The application's own filters.
    pub filters: Option<Map<String, Value>>,
    /// What is done to its CSV.
    pub csv: CsvOptions,
    /// When its file leaves the archive; at most the export's expiry (X9).
    pub expires_at: DateTime<Utc>,
    /// How long its application has for an answer, if the registry says so.
    pub answer_within: Option<Period>,
    /// How often it is asked meanwhile, if the registry says so.
    pub max_tries: Option<u32>,
}

impl ExportDraft {
    /// Checks the JSON body of a create request. Unknown keys, `id` and `status` among them, are ignored.
    ///
    /// # Errors
    /// [`CreateError`] says what is wrong; the first defect found is reported.
    pub fn parse(
        body: &Value,
        registry: &Registry,
        limits: &CreateLimits,
        now: DateTime<Utc>,
    ) -> Result<Self, CreateError> {
        let body = body.as_object().ok_or(CreateError::NotAnObject)?;
        let name = body.get("name").and_then(Value::as_str).ok_or(CreateError::MissingName)?;
        let name = ExportName::parse(name).map_err(CreateError::InvalidName)?;
        let format = body.get("format").and_then(Value::as_str).ok_or(CreateError::InvalidFormat)?;
        let format = format.parse().map_err(|_| CreateError::InvalidFormat)?;
        let expires_at = parse_time(body.get("expires_at"))?.unwrap_or(now + limits.default_lifetime);
        if limits.refuse_past_expiry && expires_at <= now {
            return Err(CreateError::PastExpiry);
        }
        let sources = match body.get("sources").and_then(Value::as_array) {
            Some(sources) if !sources.is_empty() => sources,
            _ => return Err(CreateError::NoSources),
        };
        if sources.len() > limits.max_sources {
            return Err(CreateError::TooManySources(limits.max_sources));
        }
        let sources = sources
            .iter()
            .map(|source| SourceDraft::parse(source, registry, format, expires_at))
            .collect::<Result<_, _>>()?;
        Ok(Self { id: ExportId::random(), name, format, created_at: now, expires_at, sources })
    }

    /// The events that ask for the sources, in their order, on behalf of the customer with `identity`.
    pub fn request_events<'a>(
        &'a self,
        org_id: &'a str,
        identity: &'a str,
    ) -> impl Iterator<Item = RequestEvent> + use<'a> {
        self.sources.iter().map(move |source| RequestEvent {
            id: source.event_id,
            time: self.created_at,
            export_id: self.id,
            resource_id: source.id,
            org_id: org_id.to_owned(),
            application: source.application.clone(),
            resource: source.resource.clone(),
            format: self.format,
            identity: identity.to_owned(),
            filters: source.filters.clone(),
        })
    }

    /// The export as it is right after its creation: nobody has answered yet.
    pub fn into_pending(self) -> (Export, Vec<Resource>) {
        let export = Export {
            id: self.id,
            name: self.name.as_str().to_owned(),
            created_at: self.created_at,
            completed_at: None,
            expires_at: self.expires_at,
            format: self.format,
            status: ExportStatus::Pending,
        };
        let resources = self.sources.into_iter().map(|source| Resource {
            id: source.id,
            application: source.application,
            resource: source.resource,
            filters: source.filters,
            csv: source.csv,
            expires_at: source.expires_at,
            asked_at: self.created_at,
            state: ResourceState::Pending,
        });
        (export, resources.collect())
    }
}

impl SourceDraft {
    fn parse(
        source: &Value,
        registry: &Registry,
        format: ExportFormat,
        export_expires_at: DateTime<Utc>,
    ) -> Result<Self, CreateError> {
        let text = |key| source.get(key).and_then(Value::as_str).ok_or(CreateError::InvalidSource);
        let (application, resource) = (text("application")?, text("resource")?);
        let filters = match source.get("filters") {
            None | Some(Value::Null) => None,
            Some(Value::Object(filters)) => Some(filters.clone()),
            Some(_) => return Err(CreateError::InvalidFilters),
        };
        let expires = parse_time(source.get("expires"))?.unwrap_or(export_expires_at);
        let offer = registry.find(application, resource, format)?;
        let registered = offer.entry.csv.unwrap_or_default();
        let csv = CsvOptions::requested(source.get("csv"), registered, format)?;
        Ok(Self {
            id: ResourceId::random(),
            event_id: EventId::random(),
            application: offer.application.clone(),
            resource: offer.resource.clone(),
            filters,
            csv,
            answer_within: offer.entry.answer_within,
            max_tries: offer.entry.max_tries,
            expires_at: expires.min(export_expires_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        clock::{Clock as _, SystemClock},
        csv_options::InvalidCsvOptions,
        names::InvalidName,
        registry::NotOffered,
    };

    fn registry() -> Registry {
        let resources = json!({"exampleResource": {}, "anotherExampleResource": {"formats": ["json"]}});
        serde_json::from_value(json!({"exampleApplication": {"resources": resources}})).unwrap()
    }

    fn body() -> Value {
        json!({"name": "Nightly", "format": "json", "sources": [
            {"application": "exampleApplication", "resource": "exampleResource", "filters": {"since": "2026-01-01"}},
            {"application": "exampleApplication", "resource": "anotherExampleResource"}]})
    }

    fn parse(body: &Value) -> Result<ExportDraft, CreateError> {
        ExportDraft::parse(body, &registry(), &CreateLimits::default(), SystemClock.now())
    }

    /// The valid body with one key replaced, or removed where `value` is None.
    fn with(pointer: &str, key: &str, value: Option<Value>) -> Value {
        let mut body = body();
        let object = body.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => object.insert(key.to_owned(), value),
            None => object.remove(key),
        };
        body
    }

    #[test]
    fn sources_keep_the_order_of_the_request() {
        let draft = parse(&body()).unwrap();
        let names: Vec<_> = draft.sources.iter().map(|source| source.resource.as_str()).collect();
        assert_eq!(names, ["exampleResource", "anotherExampleResource"]);
        assert_eq!(draft.sources[0].filters.as_ref().unwrap()["since"], "2026-01-01");
        assert_eq!(draft.sources[1].filters, None);
    }

    #[test]
    fn an_export_lives_seven_days_unless_it_says_otherwise() {
        let draft = parse(&body()).unwrap();
        assert_eq!(draft.expires_at - draft.created_at, TimeDelta::days(7));
        assert_eq!(draft.sources[0].expires_at, draft.expires_at);
    }

    #[test]
    fn a_source_never_outlives_its_export() {
        let later = with("/sources/0", "expires", Some(json!("2999-01-01T00:00:00Z")));
        let draft = parse(&later).unwrap();
        assert_eq!(draft.sources[0].expires_at, draft.expires_at);
        let sooner = with("/sources/0", "expires", Some(json!("2020-01-01T00:00:00Z")));
        assert!(parse(&sooner).unwrap().sources[0].expires_at < draft.created_at);
    }

    #[test]
    fn each_defect_has_its_own_answer() {
        let rows = [
            (json!([]), CreateError::NotAnObject),
            (with("", "name", None), CreateError::MissingName),
            (with("", "name", Some(json!(7))), CreateError::MissingName),
            (with("", "name", Some(json!(" "))), CreateError::InvalidName(InvalidName::Empty)),
            (with("", "name", Some(json!("a\0"))), CreateError::InvalidName(InvalidName::ControlCharacter)),
            (with("", "format", None), CreateError::InvalidFormat),
            (with("", "format", Some(json!("pdf"))), CreateError::InvalidFormat),
            (with("", "sources", None), CreateError::NoSources),
            (with("", "sources", Some(json!([]))), CreateError::NoSources),
            (with("", "sources", Some(json!([7]))), CreateError::InvalidSource),
            (
                with("", "expires_at", Some(json!("tomorrow"))),
                CreateError::InvalidDate("tomorrow".to_owned()),
            ),
            (with("/sources/0", "filters", Some(json!([1]))), CreateError::InvalidFilters),
            (with("/sources/0", "filters", Some(json!("x"))), CreateError::InvalidFilters),
            (
                with("/sources/0", "csv", Some(json!({"guard": true}))),
                CreateError::InvalidCsv(InvalidCsvOptions::Malformed),
            ),
            (
                with("/sources/0", "csv", Some(json!({"bom": true}))),
                CreateError::InvalidCsv(InvalidCsvOptions::OtherFormat),
            ),
            (with("/sources/0", "resource", None), CreateError::InvalidSource),
            (with("/sources/0", "resource", Some(json!("other"))), CreateError::NotConfigured(NotOffered)),
            (with("/sources/0", "application", Some(json!("other"))), CreateError::NotConfigured(NotOffered)),
        ];
        for (body, expected) in rows {
            assert_eq!(parse(&body), Err(expected), "{body}");
        }
    }

    #[test]
    fn filters_may_be_null_or_empty() {
        for filters in [json!(null), json!({})] {
            assert!(parse(&with("/sources/0", "filters", Some(filters))).is_ok());
        }
    }

    #[test]
    fn a_past_expiry_is_accepted_unless_refused_by_setting() {
        let past = with("", "expires_at", Some(json!("2020-01-01T00:00:00Z")));
        assert!(parse(&past).is_ok());
        let strict = CreateLimits { refuse_past_expiry: true, ..CreateLimits::default() };
        let refused = ExportDraft::parse(&past, &registry(), &strict, SystemClock.now());
        assert_eq!(refused, Err(CreateError::PastExpiry));
    }

    #[test]
    fn more_sources_than_allowed_are_refused() {
        let limits = CreateLimits { max_sources: 1, ..CreateLimits::default() };
        let refused = ExportDraft::parse(&body(), &registry(), &limits, SystemClock.now());
        assert_eq!(refused, Err(CreateError::TooManySources(1)));
    }
}
