//! What receiving works with.

use blobs::Blobs;
use chrono::TimeDelta;
use domain::{
    SharedClock,
    ids::{ExportId, ResourceId},
};
use store::Store;

/// The source that data is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its export.
    pub export_id: ExportId,
    /// Its id within the export.
    pub resource_id: ResourceId,
}

/// Takes in the data of sources. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Receiver {
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) clock: SharedClock,
    pub(crate) lease: TimeDelta,
}

impl Receiver {
    /// Receives into `blobs` and settles in `store`. A delivery may go on for `lease` without a sign of life of
    /// this process before its bytes are removed; it must be longer than nothing.
    pub fn new(store: Store, blobs: Blobs, clock: SharedClock, lease: TimeDelta) -> Self {
        Self { store, blobs, clock, lease }
    }

    /// How long a delivery may go on without a sign of life of this process.
    pub fn lease(&self) -> TimeDelta {
        self.lease
    }
}
