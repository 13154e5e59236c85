//! When keys were used last, for whoever wants to withdraw an old one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use domain::ids::KeyId;

/// Uses that are not in the database yet: the last one of each key.
#[derive(Debug, Default)]
pub(crate) struct UsedKeys(Mutex<BTreeMap<KeyId, DateTime<Utc>>>);

impl UsedKeys {
    pub(crate) fn note(&self, key: KeyId, now: DateTime<Utc>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, now);
    }

    /// Takes what was noted, in the order of the ids.
    pub(crate) fn take(&self) -> Vec<(KeyId, DateTime<Utc>)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}
