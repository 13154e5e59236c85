//! Pure rules of exports: states, callers, names, limits, ids, the clock. No I/O, no async.
//!
//! Everything a service decides about an export is decided here, on plain values, so that it can be
//! tested without a server. Adapters (`store`, `blobs`, `bus`, `access`) carry these values to and
//! from the outside.

mod announcement;
mod asking;
mod byte_size;
mod clock;
mod create;
mod csv_options;
mod event;
mod export;
pub mod ids;
mod key_hash;
mod lifecycle;
mod list;
mod manifest;
mod names;
mod owner;
mod period;
mod piece;
mod record;
pub mod registry;
mod resource;
mod secret;

pub use announcement::Announcement;
pub use asking::{Asking, ask_again_at};
pub use byte_size::{ByteSize, InvalidByteSize};
pub use clock::{Clock, ManualClock, SharedClock, SystemClock};
pub use create::{CreateError, CreateLimits, ExportDraft, SourceDraft};
pub use csv_options::{CsvOptions, InvalidCsvOptions};
pub use event::RequestEvent;
pub use export::{Export, ExportFormat, ExportStatus, UnknownValue};
pub use key_hash::{InvalidKeyHash, KeyHash};
pub use lifecycle::{ExportFacts, LifecycleChange, LifecycleEvent, SourceCounts, SourceFacts};
pub use list::{ListError, ListQuery, PageLinks, SortDirection, SortField};
pub use manifest::{FrozenMember, FurtherPieces, Manifest, ManifestInput};
pub use names::{ApplicationName, ExportName, InvalidName, ResourceName};
pub use owner::Owner;
pub use period::{InvalidPeriod, Period};
pub use piece::{StoredPiece, pieces_to_fold};
pub use record::Record;
pub use resource::{Answer, Resource, ResourceState, Settlement, SourceError, StoredData, UploadedData};
pub use secret::Secret;
