//! Requests that were answered not long ago.

use std::collections::{HashSet, VecDeque};

/// How many are remembered.
const CAPACITY: usize = 10_000;

/// The event ids of the last requests that were answered.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    pub(crate) fn contains(&self, event_id: &str) -> bool {
        self.ids.contains(event_id)
    }

    pub(crate) fn insert(&mut self, event_id: String) {
        if self.ids.insert(event_id.clone()) {
            self.order.push_back(event_id);
        }
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut seen = Seen::default();
        for number in 0..=CAPACITY {
            seen.insert(number.to_string());
            seen.insert(number.to_string());
        }
        assert!(!seen.contains("0") && seen.contains("1") && seen.contains(&CAPACITY.to_string()));
    }
}
