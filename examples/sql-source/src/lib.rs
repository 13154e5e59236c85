//! A source application without code: its resources are SQL queries in a file, its data is what they select.
//!
//! [`resources`] reads the file, in which [`placeholders`] stand for what a request brings. [`values`] checks what
//! it brings. [`database`] runs a query in a read-only transaction and streams its rows as CSV or JSON. [`answer`]
//! puts these together; all the rest is the library `export-source`.
//!
//! Invariant: no value of a request is ever a part of the text of a statement. `COPY` takes no parameters, so that
//! values go into settings of the transaction, by parameters, and the query reads these.

pub mod answer;
pub mod arguments;
pub mod database;
pub mod placeholders;
pub mod resources;
pub mod values;
