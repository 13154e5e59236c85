//! Rows, whatever they are about.

use serde::Serialize;

/// One cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A count or size.
    Number(u64),
    /// Not known.
    Missing,
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number, or nothing where there is none.
    pub fn number(number: Option<u64>) -> Self {
        number.map_or(Self::Missing, Self::Number)
    }

    /// The cell as it is compared and written to CSV.
    pub fn to_plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Missing => String::new(),
        }
    }
}

/// One row: a cell for each column of its table.
pub type Row = Vec<Cell>;

/// Rows that are read as they are asked for.
pub struct Table {
    /// Names of the columns.
    pub columns: &'static [&'static str],
    /// The rows; an error ends them.
    pub rows: Box<dyn Iterator<Item = anyhow::Result<Row>> + Send>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("columns", &self.columns).finish_non_exhaustive()
    }
}
