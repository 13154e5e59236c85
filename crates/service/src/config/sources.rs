//! Files and environment variables, merged into one table whose values remember where they are from.

use std::{fs, path::Path, path::PathBuf};

use config::{Map, Value, ValueKind};

use super::ConfigError;

/// What the names of our environment variables begin with.
const PREFIX: &str = "EXPORTS__";

/// What stands between section and key in such a name; keys have single underscores.
const SEPARATOR: &str = "__";

pub(super) type Table = Map<String, Value>;

/// Which key of a table a name means.
type FindKey = fn(&Table, String) -> String;

pub(super) fn collect(
    files: &[PathBuf],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Table, ConfigError> {
    let mut settings = Table::new();
    for path in files {
        merge(&mut settings, read(path)?, |_, key| key);
    }
    for (name, text) in environment {
        if let Some(path) = name.strip_prefix(PREFIX) {
            merge(&mut settings, from_variable(&name, &path.to_ascii_lowercase(), &text), in_any_case);
        }
    }
    Ok(settings)
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| text[..span.start].lines().count().max(1)),
        reason: error.message().to_owned(),
    })?;
    Ok(from_table(table, &path.display().to_string()))
}

fn from_variable(name: &str, path: &str, text: &str) -> Table {
    let list = text.starts_with('[').then(|| toml::from_str::<toml::Table>(&format!("list = {text}")).ok());
    let value = match list.flatten().and_then(|mut table| table.remove("list")) {
        Some(list) => from_toml(list, name),
        None => value(name, text),
    };
    let mut segments = path.rsplit(SEPARATOR);
    let last = segments.next().unwrap_or_default();
    let table = Table::from([(last.to_owned(), value)]);
    segments.fold(table, |inner, segment| Table::from([(segment.to_owned(), self::value(name, inner))]))
}

fn from_table(table: toml::Table, origin: &str) -> Table {
    table.into_iter().map(|(key, value)| (key, from_toml(value, origin))).collect()
}

fn from_toml(toml: toml::Value, origin: &str) -> Value {
    match toml {
        toml::Value::String(text) => value(origin, text),
        toml::Value::Integer(number) => value(origin, number),
        toml::Value::Float(number) => value(origin, number),
        toml::Value::Boolean(on) => value(origin, on),
        toml::Value::Datetime(time) => value(origin, time.to_string()),
        toml::Value::Array(list) => {
            value(origin, list.into_iter().map(|item| from_toml(item, origin)).collect::<Vec<_>>())
        }
        toml::Value::Table(table) => value(origin, from_table(table, origin)),
    }
}

fn value(origin: &str, kind: impl Into<ValueKind>) -> Value {
    Value::new(Some(&origin.to_owned()), kind)
}

fn merge(into: &mut Table, from: Table, find_key: FindKey) {
    for (key, value) in from {
        let key = find_key(into, key);
        match (into.get_mut(&key).map(|held| &mut held.kind), value) {
            (Some(ValueKind::Table(held)), Value { kind: ValueKind::Table(more), .. }) => {
                merge(held, more, find_key);
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn in_any_case(table: &Table, key: String) -> String {
    table.keys().find(|held| held.eq_ignore_ascii_case(&key)).cloned().unwrap_or(key)
}
