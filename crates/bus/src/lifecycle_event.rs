//! The events that tell what has happened to exports.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{ExportFacts, LifecycleChange, LifecycleEvent, Record, SourceFacts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    envelope::Envelope,
    event_schema::{EXPORT_LIFECYCLE, EventSchema, SchemaError},
    request_event::{EventError, EventSettings},
};

/// Section `[lifecycle_events]`: whether and where it is told what happens to exports. `$schema` and `source` are
/// those of `[events]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LifecycleEventSettings {
    /// Whether these events are sent. Switched on again, it begins with what happens from then on.
    pub enabled: bool,
    /// The topic, which must exist.
    pub topic: String,
    /// What stands before the export's UUID in `subject`.
    pub subject_prefix: String,
    /// What stands in `type` before `export.accepted` and the like.
    pub type_prefix: String,
    /// The value of `dataschema`.
    pub data_schema: String,
}

impl Default for LifecycleEventSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            topic: "platform.export.lifecycle".to_owned(),
            subject_prefix: "urn:redhat:subject:export-service:export:".to_owned(),
            type_prefix: "com.redhat.console.export-service.".to_owned(),
            data_schema:
                "https://console.redhat.com/api/schemas/apps/export-service/v1/export-lifecycle.json"
                    .to_owned(),
        }
    }
}

/// Renders lifecycle events. Make one and keep it: it holds the compiled schema.
#[derive(Debug, Clone)]
pub struct LifecycleEvents {
    settings: LifecycleEventSettings,
    envelope: EventSettings,
    schema: EventSchema,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Data<'a> {
    Export(ExportData<'a>),
    Source(SourceData<'a>),
}

#[derive(Serialize)]
struct ExportData<'a> {
    uuid: &'a str,
    format: &'static str,
    status: &'static str,
    created_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<Sources>,
}

#[derive(Serialize)]
struct Sources {
    total: u64,
    complete: u64,
    failed: u64,
}

#[derive(Serialize)]
struct SourceData<'a> {
    uuid: String,
    export_uuid: &'a str,
    application: &'a str,
    resource: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<i64>,
}

impl LifecycleEvents {
    /// A renderer with these constants.
    ///
    /// # Errors
    /// [`SchemaError`] when the schema in `schemas/events/` is itself broken.
    pub fn new(settings: &LifecycleEventSettings, envelope: &EventSettings) -> Result<Self, SchemaError> {
        let schema = EventSchema::compile(EXPORT_LIFECYCLE)?;
        Ok(Self { settings: settings.clone(), envelope: envelope.clone(), schema })
    }

    /// The record that tells of `event`. The same event gives the same bytes.
    ///
    /// # Errors
    /// [`EventError`] when the constants make something of it that breaks the schema.
    pub fn render(&self, event: &LifecycleEvent) -> Result<Record, EventError> {
        let (settings, key) = (&self.settings, event.export_id.to_string());
        let event_type = format!("{}{}", settings.type_prefix, event.change.name());
        let envelope = Envelope {
            schema: &self.envelope.schema,
            id: &event.id.to_string(),
            source: &self.envelope.source,
            subject: &format!("{}{key}", settings.subject_prefix),
            specversion: "1.0",
            event_type: &event_type,
            time: &seconds(event.time),
            redhatorgid: &event.org_id,
            dataschema: &settings.data_schema,
            data: data(&event.change, &key),
        };
        let instance = serde_json::json!(envelope);
        self.schema.check(&instance).map_err(EventError::Schema)?;
        let payload = serde_json::to_vec(&envelope).map_err(EventError::Json)?;
        let headers = vec![("type".to_owned(), event_type)];
        Ok(Record { topic: settings.topic.clone(), key, headers, payload })
    }
}

fn data<'a>(change: &'a LifecycleChange, export_id: &'a str) -> Data<'a> {
    match change {
        LifecycleChange::Accepted(facts)
        | LifecycleChange::Ended(facts)
        | LifecycleChange::Expired(facts)
        | LifecycleChange::Deleted(facts) => Data::Export(export(facts, export_id)),
        LifecycleChange::SourceCompleted { source, size_bytes, stored_bytes } => Data::Source(SourceData {
            size_bytes: Some(*size_bytes),
            stored_bytes: Some(*stored_bytes),
            ..self::source(source, export_id, "complete")
        }),
        LifecycleChange::SourceFailed { source, error_code } => Data::Source(SourceData {
            error_code: Some(*error_code),
            ..self::source(source, export_id, "failed")
        }),
    }
}

fn export<'a>(facts: &ExportFacts, id: &'a str) -> ExportData<'a> {
    ExportData {
        uuid: id,
        format: facts.format.as_str(),
        status: facts.status.as_str(),
        created_at: seconds(facts.created_at),
        expires_at: seconds(facts.expires_at),
        sources: facts.sources.map(|counts| Sources {
            total: counts.total,
            complete: counts.complete,
            failed: counts.failed,
        }),
    }
}

fn source<'a>(facts: &'a SourceFacts, export_id: &'a str, status: &'static str) -> SourceData<'a> {
    SourceData {
        uuid: facts.id.to_string(),
        export_uuid: export_id,
        application: facts.application.as_str(),
        resource: facts.resource.as_str(),
        status,
        size_bytes: None,
        stored_bytes: None,
        error_code: None,
    }
}

fn seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
