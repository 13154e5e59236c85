//! The demo source application: this machine's Debian packages, processes and mounts.
//!
//! What it owns is in [`packages`], [`processes`] and [`mounts`]: rows, read at the moment of the request.
//! [`answer`] chooses among them; all the rest is the library `export-source`.

pub mod answer;
pub mod filters;
pub mod mounts;
pub mod packages;
pub mod processes;
pub mod table;
