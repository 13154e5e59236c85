//! The schemas of events, as they are published in `schemas/events/`.

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

/// The schema of request events.
pub(crate) const RESOURCE_REQUEST: SchemaFile = SchemaFile {
    name: "schemas/events/resource-request.json",
    text: include_str!("../../../schemas/events/resource-request.json"),
};

/// The schema of lifecycle events.
pub(crate) const EXPORT_LIFECYCLE: SchemaFile = SchemaFile {
    name: "schemas/events/export-lifecycle.json",
    text: include_str!("../../../schemas/events/export-lifecycle.json"),
};

/// A schema as it is published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SchemaFile {
    name: &'static str,
    text: &'static str,
}

/// A compiled schema. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct EventSchema(Arc<Validator>);

/// A schema file itself cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is not JSON.
    #[error("{0} is not JSON")]
    Json(&'static str, #[source] serde_json::Error),
    /// It is not a JSON Schema.
    #[error("{0} is not a JSON Schema: {1}")]
    Schema(&'static str, String),
}

/// Where an event breaks the schema. It does not show the values: one of them is the customer's identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{place}` breaks `{rule}`")]
pub struct SchemaViolation {
    /// The place in the event, as a JSON pointer; empty for the event as a whole.
    pub place: String,
    /// The keyword of the schema that it breaks, with its place in the schema.
    pub rule: String,
}

impl EventSchema {
    pub(crate) fn compile(file: SchemaFile) -> Result<Self, SchemaError> {
        let schema: Value =
            serde_json::from_str(file.text).map_err(|error| SchemaError::Json(file.name, error))?;
        let validator = jsonschema::options()
            // Without this, `format` would be a mere remark.
            .should_validate_formats(true)
            .build(&schema)
            .map_err(|error| SchemaError::Schema(file.name, error.to_string()))?;
        Ok(Self(Arc::new(validator)))
    }

    pub(crate) fn check(&self, event: &Value) -> Result<(), SchemaViolation> {
        self.0.validate(event).map_err(|error| SchemaViolation {
            place: error.instance_path().to_string(),
            rule: error.schema_path().to_string(),
        })
    }
}
