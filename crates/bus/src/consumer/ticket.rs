//! The right, and the duty, to say that a record is done.

use std::sync::Arc;

use super::assignment::Assignment;

/// Belongs to one record that was given out. One that is dropped keeps its offset, and all behind it, from being
/// committed: whoever gets the partition next is given the record again.
#[derive(Debug)]
#[must_use = "the record is given out again unless it is reported done"]
pub struct Ticket {
    assignment: Arc<Assignment>,
    offset: i64,
}

impl Ticket {
    pub(super) fn new(assignment: Arc<Assignment>, offset: i64) -> Self {
        Self { assignment, offset }
    }

    /// The record has had its effect. Nothing comes of it when the partition was given away meanwhile.
    pub fn done(self) {
        self.assignment.done(self.offset);
    }

    /// Ends when the partition was given away: the record is somebody else's then.
    pub async fn revoked(&self) {
        self.assignment.revoked().cancelled().await;
    }
}
