//! What settings there are, as the types say, and what is not among them.

use config::{Value, ValueKind};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value as Json;

use super::{ConfigError, SECTIONS, sources::Table};

/// The JSON schema of a settings type, without references: every property shows all of itself.
pub(super) fn of<T: JsonSchema>() -> Json {
    let generator = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    generator.into_generator().into_root_schema_for::<T>().to_value()
}

/// The alternative of `schema` that is an object, where it is one or optionally one.
pub(super) fn object(schema: &Json) -> Option<&Json> {
    let is_object =
        |schema: &Json| schema.get("properties").is_some() || additional_properties(schema).is_some();
    if is_object(schema) {
        return Some(schema);
    }
    schema.get("anyOf")?.as_array()?.iter().find(|schema| is_object(schema))
}

/// The schema of the values of a map with free keys.
pub(super) fn additional_properties(schema: &Json) -> Option<&Json> {
    schema.get("additionalProperties").filter(|values| values.is_object())
}

pub(super) fn refuse_unknown_sections(settings: &Table, schemas: &[&Json]) -> Result<(), ConfigError> {
    for (section, value) in settings {
        let is_ours = schemas.iter().any(|schema| schema["properties"].get(section).is_some());
        if !is_ours && !SECTIONS.contains(&section.as_str()) {
            let known = SECTIONS.map(str::to_owned).to_vec();
            return Err(unknown(section.clone(), value, known));
        }
    }
    Ok(())
}

/// Refuses what the types have no place for. That a value is one where several belong is found here and not
/// left to reading it: its text would be in the error, and may be a secret.
pub(super) fn check_keys(settings: &Table, schema: &Json, path: &str) -> Result<(), ConfigError> {
    let properties = schema.get("properties").and_then(Json::as_object);
    for (key, value) in settings {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let expected = properties.and_then(|known| known.get(key)).or(additional_properties(schema));
        let Some(expected) = expected else {
            let mut known: Vec<_> = properties.into_iter().flat_map(|known| known.keys().cloned()).collect();
            known.sort_unstable();
            return Err(unknown(path, value, known));
        };
        match (object(expected), &value.kind) {
            (Some(schema), ValueKind::Table(table)) => check_keys(table, schema, &path)?,
            (Some(_), _) => return Err(single(path, value, "a section")),
            (None, ValueKind::Array(_)) => {}
            (None, _) if is_list(expected) => return Err(single(path, value, r#"a list, as ["a", "b"]"#)),
            (None, _) => {}
        }
    }
    Ok(())
}

fn is_list(schema: &Json) -> bool {
    match &schema["type"] {
        Json::Array(types) => types.iter().any(|name| name == "array"),
        name => name == "array",
    }
}

fn single(key: String, value: &Value, expected: &'static str) -> ConfigError {
    ConfigError::Single { key, origin: origin_of(value), expected }
}

fn unknown(key: String, value: &Value, known: Vec<String>) -> ConfigError {
    ConfigError::Unknown { key, origin: origin_of(value), known }
}

fn origin_of(value: &Value) -> String {
    value.origin().unwrap_or("the settings").to_owned()
}
