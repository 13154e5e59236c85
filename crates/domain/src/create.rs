//! What a customer may ask for: the body of a create request, checked into a draft (S0-25 to S0-30, S0-42).

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use serde_json::{Map, Value};

use crate::{
    csv_options::{CsvOptions, InvalidCsvOptions},
    event::RequestEvent,
    export::{Export, ExportFormat, ExportStatus},
    ids::{EventId, ExportId, ResourceId},
    names::{ApplicationName, ExportName, InvalidName, ResourceName},
    period::Period,
    registry::{NotOffered, Registry},
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

/// Why a request to create an export is refused. The text is the answer's `message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The body is JSON, but not an object.
    #[error("invalid JSON: the body must be an object")]
    NotAnObject,
    /// The name is missing or not a text.
    #[error("invalid or missing name: must be a text")]
    MissingName,
    /// The name is not a name.
    #[error("invalid name: {0}")]
    InvalidName(#[source] InvalidName),
    /// The format is missing or not one we have.
    #[error("invalid or missing payload format")]
    InvalidFormat,
    /// No sources, or not an array.
    #[error("no sources provided")]
    NoSources,
    /// More sources than one export may have.
    #[error("too many sources, max: {0}")]
    TooManySources(usize),
    /// A source is not an object with an application and a resource.
    #[error("invalid source: must be an object with the texts 'application' and 'resource'")]
    InvalidSource,
    /// Filters are neither an object nor null.
    #[error("invalid json format of filters")]
    InvalidFilters,
    /// What is asked of its CSV cannot be.
    #[error(transparent)]
    InvalidCsv(#[from] InvalidCsvOptions),
    /// A time is not one.
    #[error("'{0}' is not a valid date in ISO 8601")]
    InvalidDate(String),
    /// The expiry has passed, and this installation refuses that.
    #[error("expires_at is in the past")]
    PastExpiry,
    /// An application or resource that this installation does not offer.
    #[error(transparent)]
    NotConfigured(#[from] NotOffered),
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

/// A time in RFC 3339, or None when it is absent, null or empty.
fn parse_time(value: Option<&Value>) -> Result<Option<DateTime<Utc>>, CreateError> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => text,
        Some(other) => return Err(CreateError::InvalidDate(excerpt(&other.to_string()))),
    };
    let invalid = || CreateError::InvalidDate(excerpt(text));
    let given = DateTime::parse_from_rfc3339(text).map_err(|_| invalid())?;
    // As Postgres keeps it, so that every answer shows the same: whole microseconds, and a leap second, which
    // few programs can read, is the second after it.
    let time = DateTime::from_timestamp_micros(given.timestamp_micros()).ok_or_else(invalid)?;
    // An offset can move a time into a year that RFC 3339 cannot write, and so no answer of ours.
    if !(0..=9999).contains(&time.year()) {
        return Err(invalid());
    }
    Ok(Some(time))
}

/// The beginning of what the caller sent, so that an answer is never as large as the request.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};

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
    fn an_expiry_in_a_year_that_rfc_3339_cannot_write_is_refused() {
        for (pointer, key) in [("", "expires_at"), ("/sources/0", "expires")] {
            for outside in ["9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59"] {
                let refused = parse(&with(pointer, key, Some(json!(outside))));
                assert_eq!(refused, Err(CreateError::InvalidDate(outside.to_owned())));
            }
            for inside in ["9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"] {
                assert!(parse(&with(pointer, key, Some(json!(inside)))).is_ok(), "{inside}");
            }
        }
    }

    #[test]
    fn a_time_is_read_as_it_will_be_kept() {
        for (given, kept) in [
            ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z"),
            ("2026-12-31T23:59:60.5Z", "2027-01-01T00:00:00.5Z"),
            ("2026-12-31T23:59:59.9999999Z", "2026-12-31T23:59:59.999999Z"),
            ("1960-01-01T00:00:00.0000019Z", "1960-01-01T00:00:00.000001Z"),
        ] {
            let draft = parse(&with("", "expires_at", Some(json!(given)))).unwrap();
            assert_eq!(draft.expires_at, kept.parse::<DateTime<Utc>>().unwrap(), "{given}");
        }
        let past_the_end = with("", "expires_at", Some(json!("9999-12-31T23:59:60Z")));
        assert!(matches!(parse(&past_the_end), Err(CreateError::InvalidDate(_))));
    }

    #[test]
    fn more_sources_than_allowed_are_refused() {
        let limits = CreateLimits { max_sources: 1, ..CreateLimits::default() };
        let refused = ExportDraft::parse(&body(), &registry(), &limits, SystemClock.now());
        assert_eq!(refused, Err(CreateError::TooManySources(1)));
    }
}
