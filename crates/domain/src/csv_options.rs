//! What is done to CSV for the people who open it in a spreadsheet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::export::ExportFormat;

/// What is done to the CSV of a source while it is stored; nothing unless somebody asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CsvOptions {
    /// A cell that a spreadsheet would run as a formula gets a `'` before it; numbers stay numbers.
    pub formula_guard: bool,
    /// The data begins with a UTF-8 byte order mark, without which some spreadsheets take it for another code
    /// page.
    pub bom: bool,
}

/// Why the `csv` of a requested source is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCsvOptions {
    /// It is no object, or holds something else: a misspelt guard must not pass for one.
    #[error("invalid csv: must be an object with the booleans 'formula_guard' and 'bom'")]
    Malformed,
    /// Something is asked for that cannot be done to this format.
    #[error("invalid csv: the format of the export is not csv")]
    OtherFormat,
}

impl CsvOptions {
    /// Whether anything is done.
    pub const fn any(self) -> bool {
        self.formula_guard || self.bom
    }

    /// What a request asks for with `given`; what it leaves open is as in `registered`. Nothing is done to
    /// other formats than CSV.
    ///
    /// # Errors
    /// [`InvalidCsvOptions`].
    pub fn requested(
        given: Option<&Value>,
        registered: Self,
        format: ExportFormat,
    ) -> Result<Self, InvalidCsvOptions> {
        let is_csv = format == ExportFormat::Csv;
        let mut options = if is_csv { registered } else { Self::default() };
        let given = match given {
            None | Some(Value::Null) => return Ok(options),
            Some(Value::Object(given)) => given,
            Some(_) => return Err(InvalidCsvOptions::Malformed),
        };
        for (name, value) in given {
            let option = match name.as_str() {
                "formula_guard" => &mut options.formula_guard,
                "bom" => &mut options.bom,
                _ => return Err(InvalidCsvOptions::Malformed),
            };
            *option = match value {
                Value::Null => continue,
                Value::Bool(wanted) => *wanted,
                _ => return Err(InvalidCsvOptions::Malformed),
            };
        }
        if options.any() && !is_csv { Err(InvalidCsvOptions::OtherFormat) } else { Ok(options) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GUARD: CsvOptions = CsvOptions { formula_guard: true, bom: false };
    const BOTH: CsvOptions = CsvOptions { formula_guard: true, bom: true };

    fn of_csv(given: &Value, registered: CsvOptions) -> Result<CsvOptions, InvalidCsvOptions> {
        CsvOptions::requested(Some(given), registered, ExportFormat::Csv)
    }

    #[test]
    fn what_a_request_leaves_open_is_as_registered() {
        assert_eq!(CsvOptions::requested(None, GUARD, ExportFormat::Csv), Ok(GUARD));
        assert_eq!(of_csv(&json!(null), GUARD), Ok(GUARD));
        assert_eq!(of_csv(&json!({}), CsvOptions::default()), Ok(CsvOptions::default()));
        assert_eq!(of_csv(&json!({"bom": true}), GUARD), Ok(BOTH));
        assert_eq!(of_csv(&json!({"formula_guard": null}), GUARD), Ok(GUARD));
        assert_eq!(of_csv(&json!({"formula_guard": false}), GUARD), Ok(CsvOptions::default()));
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for given in
            [json!(true), json!([]), json!({"formulaguard": true}), json!({"bom": "yes"}), json!({"bom": 1})]
        {
            assert_eq!(of_csv(&given, BOTH), Err(InvalidCsvOptions::Malformed), "{given}");
        }
    }

    #[test]
    fn another_format_is_left_alone_and_not_asked_otherwise() {
        let of_json = |given: &Value| CsvOptions::requested(Some(given), BOTH, ExportFormat::Json);
        assert_eq!(CsvOptions::requested(None, BOTH, ExportFormat::Json), Ok(CsvOptions::default()));
        assert_eq!(of_json(&json!({"bom": false})), Ok(CsvOptions::default()));
        assert_eq!(of_json(&json!({"bom": true})), Err(InvalidCsvOptions::OtherFormat));
    }
}
