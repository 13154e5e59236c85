//! In which steps the records of one call are handed to the client, so that each key keeps its order.
//!
//! An idempotent client numbers the records of a partition, and a broker refuses a number that does not
//! follow the last one it stored. But a broker that has stored nothing yet of a client accepts any number:
//! it would store a later batch when the first one failed. So of each key only the first record is handed
//! over; the others follow once it is stored, because then the broker knows the client, and a gap is
//! refused.

use std::collections::HashSet;

use domain::Record;

use crate::error::{SendError, Unavailable};

/// The records of one call, and what became of them.
pub(crate) struct Steps<'a> {
    records: &'a [Record],
    results: Vec<Result<(), SendError>>,
    /// Places of the records that were not handed over yet, in order.
    pending: Vec<usize>,
    /// Keys of which the client has stored a record.
    proven: HashSet<Key<'a>>,
}

type Key<'a> = (&'a str, &'a str);

impl<'a> Steps<'a> {
    pub(crate) fn new(records: &'a [Record]) -> Self {
        Self {
            records,
            results: vec![Err(SendError::Unavailable(Unavailable::Abandoned)); records.len()],
            pending: (0..records.len()).collect(),
            proven: HashSet::new(),
        }
    }

    /// Takes the places of the records that may be handed over next; none when there is nothing left.
    pub(crate) fn next(&mut self) -> Vec<usize> {
        let mut begun = HashSet::new();
        let (step, pending) = self.pending.iter().partition(|place| {
            let key = self.key(**place);
            self.proven.contains(&key) || begun.insert(key)
        });
        self.pending = pending;
        step
    }

    /// Notes what became of the records of a step. The later records of a key whose record may yet be
    /// sent are given up: they must not overtake it.
    pub(crate) fn settle(&mut self, reports: impl IntoIterator<Item = (usize, Result<(), SendError>)>) {
        let mut blocked = HashSet::new();
        for (place, report) in reports {
            match &report {
                Ok(()) => {
                    self.proven.insert(self.key(place));
                }
                Err(error) if error.is_temporary() => {
                    blocked.insert(self.key(place));
                }
                Err(_) => {}
            }
            self.results[place] = report;
        }
        let records = self.records;
        self.pending.retain(|place| !blocked.contains(&key_of(&records[*place])));
    }

    /// Another client goes on: the brokers do not know it yet.
    pub(crate) fn client_changed(&mut self) {
        self.proven.clear();
    }

    /// Gives up what was not handed over.
    pub(crate) fn give_up(&mut self, error: &SendError) {
        for place in self.pending.drain(..) {
            self.results[place] = Err(error.clone());
        }
    }

    /// What became of each record, in the order of the call.
    pub(crate) fn into_results(self) -> Vec<Result<(), SendError>> {
        self.results
    }

    fn key(&self, place: usize) -> Key<'a> {
        key_of(&self.records[place])
    }
}

fn key_of(record: &Record) -> Key<'_> {
    (&record.topic, &record.key)
}

#[cfg(test)]
mod tests {
    use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};

    use super::*;

    fn records(keys: &[&str]) -> Vec<Record> {
        keys.iter()
            .map(|key| Record {
                topic: "t".to_owned(),
                key: (*key).to_owned(),
                headers: Vec::new(),
                payload: Vec::new(),
            })
            .collect()
    }

    fn failed(code: RDKafkaErrorCode) -> Result<(), SendError> {
        Err(SendError::from_client(KafkaError::MessageProduction(code)))
    }

    #[test]
    fn the_first_record_of_each_key_goes_ahead_and_the_others_follow_together() {
        let records = records(&["a", "a", "b", "a", "b", "c"]);
        let mut steps = Steps::new(&records);
        assert_eq!(steps.next(), [0, 2, 5]);
        steps.settle([(0, Ok(())), (2, Ok(())), (5, Ok(()))]);
        assert_eq!(steps.next(), [1, 3, 4]);
        steps.settle([(1, Ok(())), (3, Ok(())), (4, Ok(()))]);
        assert!(steps.next().is_empty());
        assert!(steps.into_results().iter().all(Result::is_ok));
    }

    #[test]
    fn records_do_not_overtake_one_that_may_yet_be_sent() {
        let records = records(&["a", "a", "b", "b"]);
        let mut steps = Steps::new(&records);
        assert_eq!(steps.next(), [0, 2]);
        steps.settle([(0, failed(RDKafkaErrorCode::PurgeQueue)), (2, Ok(()))]);
        assert_eq!(steps.next(), [3]);
        steps.settle([(3, Ok(()))]);
        assert!(steps.next().is_empty());
        let stored: Vec<_> = steps.into_results().iter().map(Result::is_ok).collect();
        assert_eq!(stored, [false, false, true, true]);
    }

    #[test]
    fn records_go_on_without_one_that_can_never_be_sent() {
        let records = records(&["a", "a", "a"]);
        let mut steps = Steps::new(&records);
        assert_eq!(steps.next(), [0]);
        steps.settle([(0, failed(RDKafkaErrorCode::MessageSizeTooLarge))]);
        assert_eq!(steps.next(), [1]);
        steps.settle([(1, Ok(()))]);
        assert_eq!(steps.next(), [2]);
    }

    #[test]
    fn a_new_client_begins_with_the_first_record_again() {
        let records = records(&["a", "a", "a"]);
        let mut steps = Steps::new(&records);
        steps.next();
        steps.settle([(0, Ok(()))]);
        steps.client_changed();
        assert_eq!(steps.next(), [1]);
    }

    #[test]
    fn what_is_given_up_says_why() {
        let records = records(&["a", "a"]);
        let mut steps = Steps::new(&records);
        steps.next();
        steps.settle([(0, Ok(()))]);
        steps.give_up(&SendError::Unavailable(Unavailable::Closed));
        assert!(matches!(
            steps.into_results()[..],
            [Ok(()), Err(SendError::Unavailable(Unavailable::Closed))]
        ));
    }
}
