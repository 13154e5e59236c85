//! What the tests of the whole share.
//!
//! [`TestApp`] runs the public API, the internal API, the dispatcher and the expiry-reaper in this process,
//! wired as their binaries wire them, on a database, topic and key prefix of its own. A [`Customer`] asks
//! for exports, a [`SourceApplication`] delivers. Tests are in `tests/`, a program for each theme.

mod app;
mod archive;
mod calls;
mod customer;
pub mod raw;
mod settings;
mod source_application;
mod watch;

pub use app::{INTERNAL, PATIENCE, PUBLIC, TestApp};
pub use archive::{Archive, sha256_hex};
pub use calls::{Answer, Export, Source, call_until_limited, expect, json, refusal};
pub use customer::{Customer, identity_header};
pub use settings::{
    AppSettings, OTHER_APPLICATION, SILENT_APPLICATION, SOURCE_APPLICATION, apply_usual_registry,
    migrated_database, object_store,
};
pub use source_application::SourceApplication;
