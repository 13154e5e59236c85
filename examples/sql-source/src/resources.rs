//! The file of resources.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use export_source::{Refusal, Request};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    placeholders::{name_length, replace},
    values::Type,
};

/// What every query may use besides its filters: who asks.
const OF_THE_REQUEST: [&str; 3] = ["org_id", "username", "account_number"];

/// Before a value in a setting: without it, an empty text would be the same as none.
const PRESENT: char = '=';

/// All resources by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Resources(BTreeMap<String, Resource>);

/// One resource: a query, and the filters that it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The query, with settings of the transaction in place of the placeholders.
    pub(crate) query: String,
    filters: BTreeMap<String, Filter>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Filter {
    kind: Type,
    required: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    resources: BTreeMap<String, ResourceInFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceInFile {
    query: String,
    #[serde(default)]
    filters: BTreeMap<String, FilterInFile>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FilterInFile {
    Type(Type),
    Full(FullFilter),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullFilter {
    #[serde(rename = "type")]
    kind: Type,
    #[serde(default)]
    required: bool,
}

/// Settings of a transaction: names and values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bound {
    pub(crate) names: Vec<String>,
    pub(crate) values: Vec<String>,
}

impl Bound {
    /// None is null.
    fn bind(&mut self, name: &str, value: Option<String>) {
        self.names.push(setting(name));
        self.values.push(value.map(|value| format!("{PRESENT}{value}")).unwrap_or_default());
    }
}

impl Resources {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or used; the text says what is wrong, and where.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = || format!("the file of resources {}", path.display());
        Self::parse(&std::fs::read_to_string(path).with_context(failed)?).with_context(failed)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        ensure!(!file.resources.is_empty(), "there are no resources");
        let resource = |(name, in_file): (String, ResourceInFile)| {
            let resource = Resource::new(in_file).with_context(|| format!("the resource {name}"))?;
            Ok((name, resource))
        };
        Ok(Self(file.resources.into_iter().map(resource).collect::<Result<_>>()?))
    }

    /// The resource of that name.
    ///
    /// # Errors
    /// A refusal that names those that there are.
    pub fn get(&self, name: &str) -> Result<&Resource, Refusal> {
        let names = || self.0.keys().map(String::as_str).collect::<Vec<_>>();
        self.0.get(name).ok_or_else(|| Refusal::unknown_resource(&names()))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Resource)> {
        self.0.iter().map(|(name, resource)| (name.as_str(), resource))
    }
}

impl Resource {
    fn new(in_file: ResourceInFile) -> Result<Self> {
        let mut filters = BTreeMap::new();
        for (name, filter) in in_file.filters {
            ensure!(
                !name.is_empty() && name_length(&name) == name.len(),
                "{name:?} is no name of a filter: a-z, 0-9, _"
            );
            ensure!(!OF_THE_REQUEST.contains(&name.as_str()), "{name} is who asks, and cannot be a filter");
            let filter = match filter {
                FilterInFile::Type(kind) => Filter { kind, required: false },
                FilterInFile::Full(FullFilter { kind, required }) => Filter { kind, required },
            };
            filters.insert(name, filter);
        }
        let query = in_file.query.trim().trim_end_matches(';');
        let replaced = replace(query, |name| {
            let of_request = OF_THE_REQUEST.contains(&name).then_some(Type::Text);
            let kind = of_request.or_else(|| filters.get(name).map(|filter| filter.kind))?;
            Some(expression(name, kind))
        });
        match replaced {
            Ok(query) => Ok(Self { query, filters }),
            Err(name) => bail!("the query uses :{name}, which is not among its filters"),
        }
    }

    /// The settings that a request makes.
    ///
    /// # Errors
    /// A refusal for filters that there are not, that are missing or of another type.
    pub fn bind(&self, request: &Request) -> Result<Bound, Refusal> {
        let mut bound = Bound::default();
        bound.bind("org_id", without_nul(Some(request.org_id.clone())));
        bound.bind("username", without_nul(request.identity.username()));
        bound.bind("account_number", without_nul(request.identity.account_number()));
        self.bind_filters(&request.filters, &mut bound)?;
        Ok(bound)
    }

    fn bind_filters(&self, filters: &Map<String, Value>, bound: &mut Bound) -> Result<(), Refusal> {
        if filters.keys().any(|name| !self.filters.contains_key(name)) {
            let names: Vec<&str> = self.filters.keys().map(String::as_str).collect();
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Refusal::invalid_filters(format!(
                "there is no filter of that name; there are: {known}"
            )));
        }
        for (name, Filter { kind, required }) in &self.filters {
            let value = match filters.get(name).filter(|value| !value.is_null()) {
                None if *required => {
                    return Err(Refusal::invalid_filters(format!("the filter {name} is needed")));
                }
                None => None,
                Some(value) => Some(kind.text(value).ok_or_else(|| {
                    Refusal::invalid_filters(format!("the filter {name} must be {}", kind.expected()))
                })?),
            };
            bound.bind(name, value);
        }
        Ok(())
    }
}

/// `PostgreSQL` has no texts with this character; nobody is called so.
fn without_nul(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.contains('\0'))
}

/// The setting that a value goes into.
fn setting(name: &str) -> String {
    format!("source.{name}")
}

/// What a query reads in place of a placeholder: the value of its setting, or null.
fn expression(name: &str, kind: Type) -> String {
    format!("(substr(nullif(current_setting('{}', true), ''), 2)::{})", setting(name), kind.sql())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "
        [resources.invoices]
        query = 'SELECT * FROM invoices WHERE org = :org_id AND (:year IS NULL OR year = :year);'
        filters.year = 'int'
        filters.since = { type = 'timestamp', required = true }
    ";

    fn request(filters: &Value) -> Request {
        let event = json!({
            "id": "e", "type": "com.redhat.console.export-service.request", "redhatorgid": "o'1",
            "data": {"resource_request": {
                "uuid": "22222222-2222-4222-8222-222222222222",
                "export_request_uuid": "11111111-1111-4111-8111-111111111111",
                "application": "a", "format": "json", "resource": "invoices", "x-rh-identity": "e30=",
                "filters": filters}}
        });
        Request::decode(event.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn values_are_bound_and_never_text_of_the_query() {
        let resources = Resources::parse(FILE).unwrap();
        let invoices = resources.get("invoices").unwrap();
        assert!(
            invoices.query.ends_with("::int8))") && !invoices.query.contains(":year"),
            "{}",
            invoices.query
        );
        let bound = invoices.bind(&request(&json!({"since": "2026-01-31", "year": null}))).unwrap();
        let value = |name: &str| {
            let place = bound.names.iter().position(|bound| bound == name).unwrap();
            bound.values[place].as_str()
        };
        assert_eq!((value("source.org_id"), value("source.year")), ("=o'1", ""));
        assert_eq!(value("source.since"), "=2026-01-31T00:00:00Z");
    }

    #[test]
    fn what_cannot_be_bound_is_refused_with_a_reason() {
        let resources = Resources::parse(FILE).unwrap();
        for (filters, reason) in [
            (json!({"since": "2026-01-31", "colour": "red"}), "there are: since, year"),
            (json!({"year": 2026}), "since is needed"),
            (json!({"since": "yesterday"}), "since must be a time"),
        ] {
            let refusal = resources.get("invoices").unwrap().bind(&request(&filters)).unwrap_err();
            assert!(refusal.code == 400 && refusal.message.contains(reason), "{refusal:?}");
        }
        assert_eq!(resources.get("toasters").unwrap_err().code, 404);
    }

    #[test]
    fn a_file_that_cannot_be_used_says_why() {
        for (file, reason) in [
            ("", "resources"),
            ("[resources]", "no resources"),
            ("[resources.a]\nquery = 'SELECT :b'", ":b, which is not among its filters"),
            ("[resources.a]\nquery = ''\nfilters.X = 'int'", "no name of a filter"),
            ("[resources.a]\nquery = ''\nfilters.org_id = 'int'", "who asks"),
            ("[resources.a]\nquery = ''\nfilters.x = 'blob'", "x"),
            ("[resources.a]\nsql = ''", "sql"),
        ] {
            let error = format!("{:#}", Resources::parse(file).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }
}
