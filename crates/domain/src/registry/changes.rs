//! What differs between two registries, for people.

use std::{collections::BTreeSet, fmt};

use serde_json::{Map, Value};

use super::Registry;

/// One setting that is new, gone or another. It prints as a line: `+ path: value`, `- path: value` or
/// `~ path: before → after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    path: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, before, after } = self;
        match (before, after) {
            (Some(before), Some(after)) => write!(f, "~ {path}: {before} → {after}"),
            (Some(before), None) => write!(f, "- {path}: {before}"),
            (None, Some(after)) => write!(f, "+ {path}: {after}"),
            (None, None) => Ok(()),
        }
    }
}

/// What was changed from `before` to `after`, in the order of the paths. Hashes of keys are not shown, only
/// how many there are.
pub fn changes(before: &Registry, after: &Registry) -> Vec<Change> {
    let mut found = Vec::new();
    compare(String::new(), Some(shown(before)), Some(shown(after)), &mut found);
    found
}

/// The registry as JSON, without what says nothing, and with the beginnings of the hashes of keys.
fn shown(registry: &Registry) -> Value {
    let mut applications = Map::new();
    for (name, application) in registry.applications() {
        let mut shown = serde_json::to_value(application).unwrap_or_default();
        let keys: Vec<_> = application.keys_sha256.iter().map(|key| Value::from(key.fingerprint())).collect();
        shown["keys_sha256"] = Value::from(keys);
        drop_defaults(&mut shown);
        applications.insert(name.to_string(), shown);
    }
    Value::Object(applications)
}

fn compare(path: String, before: Option<Value>, after: Option<Value>, found: &mut Vec<Change>) {
    if before == after {
        return;
    }
    let already = found.len();
    if let (Some(before), Some(after)) = (entries(before.as_ref()), entries(after.as_ref())) {
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            compare(path, before.get(name).cloned(), after.get(name).cloned(), found);
        }
    }
    // Either a single setting, or something that is new or gone and has no settings.
    if found.len() == already {
        found.push(Change { path, before, after });
    }
}

/// The settings of something that is there, or not there any more; None for a single setting.
fn entries(value: Option<&Value>) -> Option<Map<String, Value>> {
    match value {
        Some(Value::Object(entries)) => Some(entries.clone()),
        Some(_) => None,
        None => Some(Map::new()),
    }
}

/// Drops settings that say no more than nothing would.
fn drop_defaults(value: &mut Value) {
    if let Value::Object(entries) = value {
        entries.values_mut().for_each(drop_defaults);
        entries.retain(|_, value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Bool(set) => *set,
            Value::Object(_) | Value::Number(_) => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(before: Value, after: Value) -> Vec<String> {
        let registry = |value| serde_json::from_value(value).unwrap();
        changes(&registry(before), &registry(after)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_new_or_gone_is_told_setting_by_setting() {
        let application =
            json!({"a": {"owner": "Team A", "announce": true, "resources": {"r": {}, "s": {"title": "S"}}}});
        let told = [
            r"+ a.announce: true",
            r#"+ a.owner: "Team A""#,
            r"+ a.resources.r: {}",
            r#"+ a.resources.s.title: "S""#,
        ];
        assert_eq!(lines(json!({}), application.clone()), told);
        assert_eq!(lines(application.clone(), json!({})), told.map(|line| line.replacen('+', "-", 1)));
        assert_eq!(lines(application.clone(), application), [""; 0]);
        assert_eq!(lines(json!({}), json!({"bare": {}})), ["+ bare.resources: {}"]);
    }

    #[test]
    fn what_is_another_is_told_with_both_values() {
        let of = |within: &str, key: &str| json!({"a": {"resources": {"r": {"answer_within": within}}, "keys_sha256": [key.repeat(64)]}});
        assert_eq!(
            lines(of("1h", "a"), of("24h", "b")),
            [
                r#"~ a.keys_sha256: ["aaaaaaaa"] → ["bbbbbbbb"]"#,
                r#"~ a.resources.r.answer_within: "1h" → "1day""#
            ]
        );
    }
}
