//! Which offsets may be committed: for each partition, the one before which everything is done.

use std::collections::{BTreeSet, HashMap};

/// Where a record lies in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// The records of the assigned partitions, as far as they are not done.
#[derive(Debug, Default)]
pub(crate) struct Offsets(HashMap<i32, Partition>);

#[derive(Debug)]
struct Partition {
    /// Behind the last record that was seen.
    next: i64,
    /// Seen and not done.
    open: BTreeSet<i64>,
    /// What was told last by [`Offsets::advanced`].
    told: i64,
}

impl Offsets {
    /// A record was seen that there is nothing to do about.
    pub(crate) fn pass(&mut self, place: Place) {
        self.see(place);
    }

    /// A record was seen that is to be answered.
    pub(crate) fn open(&mut self, place: Place) {
        self.see(place).open.insert(place.offset);
    }

    fn see(&mut self, Place { partition, offset }: Place) -> &mut Partition {
        let new = || Partition { next: offset, open: BTreeSet::new(), told: offset };
        let partition = self.0.entry(partition).or_insert_with(new);
        partition.next = partition.next.max(offset + 1);
        partition
    }

    /// The record was answered. One of a partition that went away meanwhile is nobody's concern here.
    pub(crate) fn done(&mut self, place: Place) {
        if let Some(partition) = self.0.get_mut(&place.partition) {
            partition.open.remove(&place.offset);
        }
    }

    /// Whether the record was seen and not answered, in a partition that is still this consumer's.
    pub(crate) fn is_open(&self, place: Place) -> bool {
        self.0.get(&place.partition).is_some_and(|partition| partition.open.contains(&place.offset))
    }

    /// For each partition that has advanced since this was asked last, the offset that may be committed: the next
    /// to be consumed.
    pub(crate) fn advanced(&mut self) -> Vec<Place> {
        let moved = self.0.iter_mut().filter_map(|(number, partition)| {
            let offset = partition.open.first().copied().unwrap_or(partition.next);
            (offset > partition.told).then(|| {
                partition.told = offset;
                Place { partition: *number, offset }
            })
        });
        moved.collect()
    }

    /// The partition is another consumer's now.
    pub(crate) fn forget(&mut self, partition: i32) {
        self.0.remove(&partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> Place {
        Place { partition: 3, offset }
    }

    #[test]
    fn nothing_behind_an_open_record_is_committed() {
        let mut offsets = Offsets::default();
        offsets.open(at(10));
        offsets.pass(at(11));
        offsets.open(at(12));
        assert_eq!(offsets.advanced(), []);
        offsets.done(at(12));
        assert_eq!(offsets.advanced(), []);
        offsets.done(at(10));
        assert_eq!(offsets.advanced(), [at(13)]);
        assert_eq!(offsets.advanced(), []);
    }

    #[test]
    fn gaps_in_the_offsets_hold_nothing_up() {
        let mut offsets = Offsets::default();
        offsets.open(at(5));
        offsets.pass(at(90));
        offsets.done(at(5));
        assert_eq!(offsets.advanced(), [at(91)]);
    }

    #[test]
    fn a_partition_that_comes_back_begins_anew() {
        let mut offsets = Offsets::default();
        offsets.open(at(10));
        assert!(offsets.is_open(at(10)) && !offsets.is_open(at(11)));
        offsets.forget(3);
        assert!(!offsets.is_open(at(10)));
        offsets.done(at(10));
        assert_eq!(offsets.advanced(), []);
        offsets.open(at(7));
        offsets.done(at(7));
        assert_eq!(offsets.advanced(), [at(8)]);
    }
}
