//! Requests that wait for their turn.

use std::collections::VecDeque;

use crate::{Refusal, Request};

/// How many bytes of records may wait before no more are taken. Several thousand requests, so that the broker is
/// not waited for between them: what the client has fetched ahead is lost when a partition is paused.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A request that is to be answered. `broken` is why the function need not be asked.
pub(crate) struct Wanted {
    pub(crate) request: Request,
    pub(crate) broken: Option<Refusal>,
    /// Size of its record.
    pub(crate) bytes: usize,
}

/// Requests in their order.
#[derive(Default)]
pub(crate) struct Waiting {
    queue: VecDeque<Wanted>,
    bytes: usize,
}

impl Waiting {
    pub(crate) fn push(&mut self, wanted: Wanted) {
        self.bytes += wanted.bytes;
        self.queue.push_back(wanted);
    }

    pub(crate) fn pop(&mut self) -> Option<Wanted> {
        let wanted = self.queue.pop_front()?;
        self.bytes -= wanted.bytes;
        Some(wanted)
    }

    /// Whether no more should come: from when there are enough until half of them are gone.
    pub(crate) fn is_full(&self, was_full: bool) -> bool {
        self.bytes >= if was_full { MOST_BYTES / 2 } else { MOST_BYTES }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::request;

    #[test]
    fn it_is_full_until_half_of_it_is_gone() {
        let mut waiting = Waiting::default();
        assert!(!waiting.is_full(false));
        for _ in 0..4 {
            assert!(!waiting.is_full(false));
            waiting.push(Wanted { request: request(), broken: None, bytes: MOST_BYTES / 4 });
        }
        let mut full = Vec::new();
        while waiting.pop().is_some() {
            full.push(waiting.is_full(true));
        }
        assert_eq!(full, [true, true, false, false]);
        assert!(waiting.pop().is_none());
    }
}
