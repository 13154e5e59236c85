//! The reference page of all settings, written from the types and their documentation.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde_json::Value as Json;

use super::{SECTIONS, schema};
use crate::{ProcessSettings, ServiceSettings};

/// A program and what it reads.
#[derive(Debug, Clone)]
pub struct Program {
    name: &'static str,
    schemas: Vec<Json>,
}

impl Program {
    /// The program `name`, which loads a `T`.
    pub fn reading<T: JsonSchema>(name: &'static str) -> Self {
        Self { name, schemas: vec![schema::of::<T>()] }
    }

    /// The service `name`: it loads an `S` and what all services load.
    pub fn service<S: ServiceSettings>(name: &'static str) -> Self {
        Self { name, schemas: vec![schema::of::<ProcessSettings>(), schema::of::<S>()] }
    }

    fn section(&self, section: &str) -> Option<&Json> {
        self.schemas.iter().find_map(|schema| schema["properties"].get(section))
    }
}

/// Renders a Markdown page with a part for each section that one of `programs` reads: the programs that
/// read it and, for each key, type, default, environment variable and meaning. The same types give
/// the same page.
pub fn reference(programs: &[Program]) -> String {
    let mut page = String::from(
        "# Settings\n\nFrom TOML files (`--config FILE`, repeatable, later ones win) and the environment, \
         which wins over files. One file may serve all programs: each reads its own sections. A section \
         or key that no program knows keeps every program from starting. In the environment a list is \
         written as in TOML, `[\"a\", \"b\"]`. Lengths of time are written `500ms`, `30s`, `24h`, `7days`; \
         sizes `256KiB`, `500MB`, `1GiB`.\n",
    );
    for section in SECTIONS {
        let readers: Vec<_> = programs.iter().filter(|program| program.section(section).is_some()).collect();
        let Some(schema) = readers.first().and_then(|program| program.section(section)) else { continue };
        let names: Vec<_> = readers.iter().map(|program| format!("`{}`", program.name)).collect();
        write_section(&mut page, section, schema, &names.join(", "));
    }
    page
}

fn write_section(page: &mut String, section: &str, schema: &Json, readers: &str) {
    let mut rows = Vec::new();
    collect_rows(&mut rows, schema, schema.get("default"), section);
    // Writing to a String cannot fail.
    let _ = write!(page, "\n## `[{section}]`\n\n{}\n\nRead by {readers}.\n\n", prose(schema));
    page.push_str("| key | type | default | environment variable | meaning |\n|---|---|---|---|---|\n");
    for row in rows {
        page.push_str(&row);
    }
}

fn collect_rows(rows: &mut Vec<String>, section: &Json, defaults: Option<&Json>, path: &str) {
    let Some(section) = schema::object(section) else { return };
    if let Some(values) = schema::additional_properties(section) {
        collect_rows(rows, values, None, &format!("{path}.NAME"));
    }
    let required = section.get("required").and_then(Json::as_array);
    for (key, schema) in section.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let path = format!("{path}.{key}");
        let default = defaults.and_then(|defaults| defaults.get(key)).or_else(|| schema.get("default"));
        if schema::object(schema).is_some() {
            collect_rows(rows, schema, default, &path);
            continue;
        }
        let default = match default {
            _ if required.is_some_and(|keys| keys.iter().any(|required| required == key)) => {
                "required".into()
            }
            None | Some(Json::Null) => "none".into(),
            Some(Json::String(text)) => format!("`{text}`"),
            Some(value) => format!("`{value}`"),
        };
        let variable = format!("EXPORTS__{}", path.replace('.', "__").to_uppercase());
        rows.push(format!(
            "| `{path}` | {} | {default} | `{variable}` | {} |\n",
            type_name(schema),
            prose(schema)
        ));
    }
}

fn type_name(schema: &Json) -> String {
    let choices = schema["oneOf"].as_array().map(|all| all.iter().map(|one| &one["const"]).collect());
    let choices: Option<Vec<_>> =
        choices.or_else(|| schema["enum"].as_array().map(|all| all.iter().collect()));
    if let Some(choices) = choices {
        let names: Vec<_> =
            choices.iter().filter_map(|choice| choice.as_str()).map(|name| format!("`{name}`")).collect();
        return names.join(" or ");
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return any.iter().find(|one| one["type"] != "null").map_or_else(String::new, type_name);
    }
    let name = match &schema["type"] {
        Json::Array(names) => names.iter().find(|name| *name != "null").and_then(Json::as_str),
        name => name.as_str(),
    };
    match (name, schema["format"].as_str()) {
        (Some("string"), Some("period")) => "length of time".into(),
        (Some("string"), Some("byte-size")) => "size".into(),
        (Some("string"), Some("secret")) => "secret".into(),
        (Some("string"), Some("sha256")) => "SHA-256".into(),
        (Some("string"), _) => "text".into(),
        (Some("integer"), _) => "whole number".into(),
        (Some("boolean"), _) => "`true` or `false`".into(),
        (Some("array"), _) => format!("list of: {}", type_name(&schema["items"])),
        (name, _) => name.unwrap_or("any").into(),
    }
}

/// The description of `schema` on one line of a table.
fn prose(schema: &Json) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::{ByteSize, Period, Secret};
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Format {
        /// For machines.
        Json,
        /// For people.
        Text,
    }

    /// How it logs.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Telemetry {
        /// The form of
        /// a line.
        format: Format,
        /// Longest wait.
        wait: Period,
        limits: Limits,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Limits {
        /// Largest body.
        body: ByteSize,
    }

    impl Default for Limits {
        fn default() -> Self {
            Self { body: ByteSize::from_kib(1) }
        }
    }

    impl Default for Telemetry {
        fn default() -> Self {
            let limits = Limits { body: ByteSize::from_kib(2) };
            Self { format: Format::Json, wait: Period::from_secs(30), limits }
        }
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only the schema is used")]
    struct Application {
        /// Keys.
        keys: Option<Vec<String>>,
    }

    /// Where the truth is.
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only the schema is used")]
    struct Database {
        /// Its address.
        url: Secret,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only the schema is used")]
    struct Settings {
        #[serde(default)]
        telemetry: Telemetry,
        #[serde(default)]
        applications: BTreeMap<String, Application>,
        database: Database,
    }

    #[test]
    fn every_setting_is_on_the_page_with_type_default_variable_and_meaning() {
        let page = reference(&[Program::reading::<Settings>("a"), Program::reading::<Settings>("b")]);
        for line in [
            "## `[telemetry]`\n\nHow it logs.\n\nRead by `a`, `b`.\n",
            "| `telemetry.format` | `json` or `text` | `json` | `EXPORTS__TELEMETRY__FORMAT` | The form of a line. |",
            "| `telemetry.wait` | length of time | `30s` | `EXPORTS__TELEMETRY__WAIT` | Longest wait. |",
            "| `telemetry.limits.body` | size | `2KiB` | `EXPORTS__TELEMETRY__LIMITS__BODY` | Largest body. |",
            "| `applications.NAME.keys` | list of: text | none | `EXPORTS__APPLICATIONS__NAME__KEYS` | Keys. |",
            "| `database.url` | secret | required | `EXPORTS__DATABASE__URL` | Its address. |",
        ] {
            assert!(page.contains(line), "{line}\nis missing in\n{page}");
        }
    }
}
