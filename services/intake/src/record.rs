//! One record, from being taken to its end.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bus::{Announced, TakenRecord, Ticket, parse_announcement};
use chrono::TimeDelta;
use futures_util::{FutureExt as _, pin_mut};
use service::Backoff;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    budget::Budget,
    hand_in::{Failure, HandedIn},
    intake::Intake,
};

/// The waits for what is ours to come back.
const OUTAGE: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));

/// What becomes of a record.
#[derive(Debug)]
enum End {
    HandedIn(HandedIn),
    /// It cannot be used, for this reason.
    Dead(String),
    /// It is left to whoever is given it next.
    Interrupted,
}

impl Intake {
    /// Brings a record to its end and reports it done then.
    pub(crate) async fn handle(self: Arc<Self>, record: TakenRecord, ticket: Ticket) {
        let span =
            tracing::info_span!("record", kafka.partition = record.partition, kafka.offset = record.offset);
        let interrupted = CancellationToken::new();
        let work = self.see_through(&record, &interrupted);
        let ended = async {
            pin_mut!(work);
            tokio::select! {
                ended = &mut work => return ended,
                () = ticket.revoked() => {}
                () = self.hard_stop.cancelled() => {}
            }
            // It notices soon, and gives up what it has begun.
            interrupted.cancel();
            work.await
        };
        if Box::pin(ended.instrument(span)).await {
            ticket.done();
        }
    }

    /// Whether the record is done.
    async fn see_through(&self, record: &TakenRecord, interrupted: &CancellationToken) -> bool {
        let end = AssertUnwindSafe(self.end_of(record, interrupted)).catch_unwind().await;
        // What makes us panic once does so every time it is read.
        let end = end.unwrap_or_else(|_| End::Dead("a defect of this program".to_owned()));
        match end {
            End::HandedIn(how) => {
                service::failpoint!("intake::handed-in");
                let outcome = if how == HandedIn::Settled { "handed_in" } else { "known" };
                self.telling.became(outcome, 1);
                self.telling.settled(record.timestamp, self.clock.now());
                true
            }
            End::Dead(reason) => {
                let buried = self.bury(record, &reason, interrupted).await;
                service::failpoint!("intake::buried");
                self.telling.became(if buried { "dead" } else { "interrupted" }, 1);
                buried
            }
            End::Interrupted => {
                self.telling.became("interrupted", 1);
                false
            }
        }
    }

    async fn end_of(&self, record: &TakenRecord, interrupted: &CancellationToken) -> End {
        if self.is_too_old(record) {
            return End::Dead("the record is older than announce.max_age".to_owned());
        }
        match parse_announcement(record.payload.as_deref().unwrap_or_default()) {
            Ok(announced) => {
                let span = tracing::info_span!("announced", export.id = %announced.export_id,
                    resource.id = %announced.resource_id, application = %announced.application);
                self.try_until_it_ends(&announced, interrupted).instrument(span).await
            }
            Err(error) => End::Dead(error.to_string()),
        }
    }

    fn is_too_old(&self, record: &TakenRecord) -> bool {
        let (Some(max_age), Some(at)) = (self.announce.max_age, record.timestamp) else { return false };
        TimeDelta::from_std(max_age.as_duration()).is_ok_and(|max_age| self.clock.now() - at > max_age)
    }

    /// Tries within the budget of the archive's server, and for ever where something of ours is away.
    async fn try_until_it_ends(&self, announced: &Announced, interrupted: &CancellationToken) -> End {
        let (mut budget, mut outage) = (Budget::new(&self.settings), OUTAGE);
        loop {
            let Some(turn) = self.turn(&announced.application, interrupted).await else {
                return End::Interrupted;
            };
            let wait = match self.hand_in(announced, interrupted).await {
                Ok(how) => return End::HandedIn(how),
                Err(Failure::Refused(reason)) => return End::Dead(reason),
                Err(Failure::Interrupted) => return End::Interrupted,
                Err(Failure::Theirs(reason)) => match budget.failed() {
                    Some(wait) => {
                        tracing::info!(reason, tries = budget.tries(), "the archive is tried again");
                        self.telling.retries("theirs");
                        wait
                    }
                    None => return End::Dead(format!("gave up after {} tries: {reason}", budget.tries())),
                },
                Err(Failure::Ours(error)) => {
                    if outage.failures() == 0 {
                        tracing::warn!(error = service::chain(error.as_ref()), "handing in waits");
                    }
                    self.telling.retries("ours");
                    budget.outage();
                    outage.failed()
                }
            };
            drop(turn);
            if !self.pause(wait, interrupted).await {
                return End::Interrupted;
            }
        }
    }

    /// Keeps a record that cannot be used; false when interrupted.
    async fn bury(&self, record: &TakenRecord, reason: &str, interrupted: &CancellationToken) -> bool {
        let mut outage = OUTAGE;
        while let Err(error) = self.letters.bury(record, reason).await {
            if outage.failures() == 0 {
                tracing::error!(error = service::chain(&error), "a dead letter waits for Kafka");
            }
            self.telling.retries("ours");
            if !self.pause(outage.failed(), interrupted).await {
                return false;
            }
        }
        tracing::warn!(reason, "a record is a dead letter");
        true
    }

    /// Waits; false when interrupted, or when the process is to stop: what waits is not waited for.
    async fn pause(&self, wait: Duration, interrupted: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = interrupted.cancelled() => false,
            () = self.soft_stop.cancelled() => false,
            () = sleep(wait) => true,
        }
    }
}
