//! The partitions that a consumer has, and how far it is in each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The partitions of one consumer.
#[derive(Debug, Default)]
pub(super) struct Assignments {
    held: Mutex<BTreeMap<i32, Arc<Assignment>>>,
    room: Arc<Notify>,
    /// Records behind what is committed, in all of them.
    lag: AtomicU64,
}

/// One partition, from when it was given to when it is taken away. Given once more, it is another one.
#[derive(Debug)]
pub(super) struct Assignment {
    progress: Mutex<Progress>,
    revoked: CancellationToken,
    room: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Offsets that were given out and are not done.
    under_way: BTreeSet<i64>,
    /// Behind the last record that was seen; None before the first.
    next: Option<i64>,
    /// What was committed last.
    committed: Option<i64>,
    paused: bool,
}

impl Progress {
    /// Where to begin when the partition is read again: behind everything that was done without a gap.
    fn position(&self) -> Option<i64> {
        self.under_way.first().copied().or(self.next)
    }
}

impl Assignments {
    pub(super) fn of(&self, partition: i32) -> Option<Arc<Assignment>> {
        self.held().get(&partition).cloned()
    }

    pub(super) fn assign(&self, partitions: impl IntoIterator<Item = i32>) {
        let mut held = self.held();
        for partition in partitions {
            let assignment = Assignment {
                progress: Mutex::default(),
                revoked: CancellationToken::new(),
                room: Arc::clone(&self.room),
            };
            if let Some(earlier) = held.insert(partition, Arc::new(assignment)) {
                earlier.revoked.cancel();
            }
        }
    }

    pub(super) fn revoke(&self, partitions: impl IntoIterator<Item = i32>) {
        let mut held = self.held();
        for partition in partitions {
            if let Some(given_away) = held.remove(&partition) {
                given_away.revoked.cancel();
            }
        }
    }

    /// What is to be committed now; it counts as committed then.
    pub(super) fn to_commit(&self, topic: &str) -> TopicPartitionList {
        let held = self.held();
        let positions = held.iter().filter_map(|(partition, assignment)| {
            let mut progress = assignment.progress();
            let position = progress.position().filter(|position| progress.committed != Some(*position))?;
            progress.committed = Some(position);
            Some((*partition, Some(position)))
        });
        list(topic, positions)
    }

    /// The last commit failed: all positions are to be committed again.
    pub(super) fn not_committed(&self) {
        self.held().values().for_each(|assignment| assignment.progress().committed = None);
    }

    /// Ends when a partition that was full has room, maybe once too often.
    pub(super) async fn room(&self) {
        self.room.notified().await;
    }

    /// The paused partitions with less than `most` records under way; they count as going on then.
    pub(super) fn take_roomy(&self, most: usize) -> Vec<i32> {
        let held = self.held();
        let roomy = held.iter().filter(|(_, assignment)| {
            let mut progress = assignment.progress();
            let roomy = progress.paused && progress.under_way.len() < most;
            progress.paused &= !roomy;
            roomy
        });
        roomy.map(|(partition, _)| *partition).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.held().len()
    }

    pub(super) fn lag(&self) -> u64 {
        self.lag.load(Ordering::Relaxed)
    }

    pub(super) fn set_lag(&self, records: u64) {
        self.lag.store(records, Ordering::Relaxed);
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<i32, Arc<Assignment>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Assignment {
    /// A record is not ours to do anything with.
    pub(super) fn pass(&self, offset: i64) {
        self.progress().next = Some(offset + 1);
    }

    /// A record is given out. Returns how many are under way with it.
    pub(super) fn begin(&self, offset: i64) -> usize {
        let mut progress = self.progress();
        progress.next = Some(offset + 1);
        progress.under_way.insert(offset);
        progress.under_way.len()
    }

    pub(super) fn done(&self, offset: i64) {
        let mut progress = self.progress();
        progress.under_way.remove(&offset);
        if progress.paused {
            self.room.notify_one();
        }
    }

    pub(super) fn paused(&self) {
        self.progress().paused = true;
    }

    pub(super) fn revoked(&self) -> &CancellationToken {
        &self.revoked
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Partitions of `topic`, with offsets where there are any.
pub(super) fn list(
    topic: &str,
    partitions: impl IntoIterator<Item = (i32, Option<i64>)>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        let mut element = list.add_partition(topic, partition);
        if let Some(offset) = offset
            && let Err(error) = element.set_offset(Offset::Offset(offset))
        {
            tracing::warn!(%error, partition, offset, "an offset cannot be committed");
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(assignments: &Assignments) -> Vec<(i32, Offset)> {
        let list = assignments.to_commit("t");
        list.elements().iter().map(|element| (element.partition(), element.offset())).collect()
    }

    #[test]
    fn only_what_is_done_without_a_gap_is_committed_and_only_once() {
        let assignments = Assignments::default();
        assignments.assign([0, 1]);
        assert_eq!(committed(&assignments), []);
        let partition = assignments.of(0).unwrap();
        partition.pass(10);
        assert_eq!(partition.begin(11), 1);
        partition.pass(12);
        assert_eq!(partition.begin(13), 2);
        assert_eq!(committed(&assignments), [(0, Offset::Offset(11))]);
        partition.done(13);
        assert_eq!(committed(&assignments), [], "11 is not done");
        partition.done(11);
        assert_eq!(committed(&assignments), [(0, Offset::Offset(14))]);
        assert_eq!(committed(&assignments), []);
        assignments.not_committed();
        assert_eq!(committed(&assignments), [(0, Offset::Offset(14))]);
    }

    #[test]
    fn what_is_done_after_the_partition_was_given_away_is_not_committed() {
        let assignments = Assignments::default();
        assignments.assign([0]);
        let before = assignments.of(0).unwrap();
        before.begin(5);
        assignments.revoke([0]);
        assert!(before.revoked().is_cancelled() && assignments.of(0).is_none());
        assignments.assign([0]);
        assignments.of(0).unwrap().begin(5);
        before.done(5);
        assert_eq!(committed(&assignments), [(0, Offset::Offset(5))], "it is under way again");
    }

    #[test]
    fn a_full_partition_goes_on_when_it_has_room() {
        let assignments = Assignments::default();
        assignments.assign([0, 1]);
        let full = assignments.of(0).unwrap();
        assert_eq!((full.begin(1), full.begin(2)), (1, 2));
        full.paused();
        assert_eq!(assignments.take_roomy(2), [0; 0]);
        full.done(2);
        assert_eq!(assignments.take_roomy(2), [0]);
        assert_eq!(assignments.take_roomy(2), [0; 0], "it goes on already");
    }
}
