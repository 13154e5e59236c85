//! Which rows are wanted: `{"section": "libs"}` or `{"section": ["libs", "net"]}`.

use serde_json::{Map, Value};

use crate::table::Row;

/// For each filtered column its place and the values that pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filters(Vec<(usize, Vec<String>)>);

/// Filters that cannot be applied; the text is for the customer.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidFilters(pub String);

impl Filters {
    /// Reads the filters of a request against the columns of a table.
    ///
    /// # Errors
    /// [`InvalidFilters`] names the columns that there are, or the kind of value that is allowed.
    pub fn parse(filters: &Map<String, Value>, columns: &[&str]) -> Result<Self, InvalidFilters> {
        let parse = |(name, value): (&String, &Value)| {
            let place = columns.iter().position(|column| column == name).ok_or_else(|| {
                InvalidFilters(format!(
                    "there is no column to filter by that name; there are: {}",
                    columns.join(", ")
                ))
            })?;
            Ok((place, values(value)?))
        };
        filters.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a row passes all filters.
    pub fn pass(&self, row: &Row) -> bool {
        self.0
            .iter()
            .all(|(place, values)| row.get(*place).is_some_and(|cell| values.contains(&cell.to_plain())))
    }
}

fn values(value: &Value) -> Result<Vec<String>, InvalidFilters> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Number(number) => Ok(vec![number.to_string()]),
        Value::Array(values) => {
            values.iter().map(self::values).collect::<Result<Vec<_>, _>>().map(|all| all.concat())
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => {
            Err(InvalidFilters("a filter is a text, a number or a list of them".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::table::Cell;

    fn parse(filters: &Value) -> Result<Filters, InvalidFilters> {
        Filters::parse(filters.as_object().unwrap(), &["name", "size"])
    }

    #[test]
    fn a_row_passes_when_every_filter_names_its_value() {
        let row = vec![Cell::text("zlib"), Cell::Number(7)];
        for (filters, passes) in [
            (json!({}), true),
            (json!({"name": "zlib"}), true),
            (json!({"name": ["a", "zlib"], "size": 7}), true),
            (json!({"name": "zlib", "size": 8}), false),
            (json!({"name": []}), false),
        ] {
            assert_eq!(parse(&filters).unwrap().pass(&row), passes, "{filters}");
        }
    }

    #[test]
    fn an_unknown_column_is_answered_with_those_that_there_are() {
        let error = parse(&json!({"colour": "red"})).unwrap_err();
        assert!(error.0.ends_with("name, size"), "{}", error.0);
        assert!(parse(&json!({"name": {"like": "z%"}})).is_err());
    }
}
