//! When keys were used last, for whoever wants to withdraw an old one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain::ids::KeyId;
use service::{
    BoxError, Context,
    worker::{Outcome, Worker},
};
use store::Store;

/// How often the database is told which keys were used.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// Uses that are not in the database yet: the last one of each key.
#[derive(Debug, Clone, Default)]
pub(crate) struct UsedKeys(Arc<Mutex<BTreeMap<KeyId, DateTime<Utc>>>>);

impl UsedKeys {
    pub(crate) fn note(&self, key: KeyId, now: DateTime<Utc>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, now);
    }

    /// Notes again what was taken and could not be written. What was noted since is later, and stays.
    fn give_back(&self, taken: Vec<(KeyId, DateTime<Utc>)>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, used_at) in taken {
            noted.entry(key).or_insert(used_at);
        }
    }

    /// Starts the loop that tells the database. What is not written yet is lost with the process.
    pub(crate) fn write_down(&self, context: &Context, store: &Store) {
        let (used_keys, store) = (self.clone(), store.clone());
        Worker::new("used-keys", WRITE_EVERY).start(context, move || {
            let (used_keys, store) = (used_keys.clone(), store.clone());
            async move {
                let used = used_keys.take();
                if !used.is_empty() {
                    let written = store.note_keys_used(used.clone()).await;
                    written.inspect_err(|_| used_keys.give_back(used))?;
                }
                Ok::<_, BoxError>(Outcome::Idle)
            }
        });
    }

    /// Takes what was noted, in the order of the ids.
    fn take(&self) -> Vec<(KeyId, DateTime<Utc>)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_kept_and_a_later_use_counts_before_it() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let (used, (once, again)) = (UsedKeys::default(), (KeyId::random(), KeyId::random()));
        used.note(once, at(1));
        used.note(again, at(1));
        let taken = used.take();
        used.note(again, at(2));
        used.give_back(taken);
        let mut expected = vec![(once, at(1)), (again, at(2))];
        expected.sort();
        assert_eq!(used.take(), expected);
    }
}
