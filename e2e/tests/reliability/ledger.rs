//! What customers and applications were told: the promises that an audit holds the platform to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

/// Clones share the books.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Books>>);

/// Ids are texts, as on the wire.
#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    /// Exports answered 202, with their sources in the order of the request.
    pub(crate) accepted: BTreeMap<String, Vec<String>>,
    /// Exports whose deletion was asked for: they may be gone, answered or not.
    pub(crate) deletions: BTreeSet<String>,
    /// Sources whose upload was answered 202, with the SHA-256 of its bytes.
    pub(crate) delivered: BTreeMap<String, String>,
    /// Sources whose error report was answered 202.
    pub(crate) failed: BTreeSet<String>,
    /// Sources whose retry was asked for, with how many retries were answered 202.
    pub(crate) retries: BTreeMap<String, usize>,
    /// How many answers there were, of whatever kind: how far the load has come.
    pub(crate) answers: usize,
    /// How many requests had no answer.
    pub(crate) unanswered: usize,
    /// How many answers said 503.
    pub(crate) unavailable: usize,
    /// Other answers from 500 on, which nobody should ever get.
    pub(crate) broken: Vec<String>,
}

impl Ledger {
    /// Writes into the books.
    pub(crate) fn note<T>(&self, entry: impl FnOnce(&mut Books) -> T) -> T {
        entry(&mut self.0.lock().unwrap())
    }

    /// A copy of the books.
    pub(crate) fn books(&self) -> Books {
        self.0.lock().unwrap().clone()
    }
}
