//! The schema of request events.

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;

/// The schema as it is published.
const SOURCE: &str = include_str!("../../../schemas/events/resource-request.json");

/// The compiled schema. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct RequestSchema(Arc<Validator>);

/// The schema file itself cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is not JSON.
    #[error("schemas/events/resource-request.json is not JSON")]
    Json(#[source] serde_json::Error),
    /// It is not a JSON Schema.
    #[error("schemas/events/resource-request.json is not a JSON Schema: {0}")]
    Schema(String),
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

impl RequestSchema {
    pub(crate) fn compile() -> Result<Self, SchemaError> {
        let schema: Value = serde_json::from_str(SOURCE).map_err(SchemaError::Json)?;
        let validator = jsonschema::options()
            // Without this, `format` would be a mere remark.
            .should_validate_formats(true)
            .build(&schema)
            .map_err(|error| SchemaError::Schema(error.to_string()))?;
        Ok(Self(Arc::new(validator)))
    }

    pub(crate) fn check(&self, event: &Value) -> Result<(), SchemaViolation> {
        self.0.validate(event).map_err(|error| SchemaViolation {
            place: error.instance_path().to_string(),
            rule: error.schema_path().to_string(),
        })
    }
}
