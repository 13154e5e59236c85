//! Awaiting the report on each record.

use std::time::Duration;

use domain::Record;
use tokio::time::{Instant, timeout_at};

use crate::{
    delivery::Delivery,
    error::{SendError, Unavailable},
    generation::Generation,
};

/// How long a purge may take to report what it purged.
const PURGE_GRACE: Duration = Duration::from_secs(2);

/// How often a client whose reports are awaited is asked whether it met a fatal error. After one, it
/// keeps records that it would have sent again, and reports them to nobody.
const FATAL_ERROR_INTERVAL: Duration = Duration::from_millis(20);

/// The reports on the records of one step. If it is dropped before all of them came, the generation is
/// abandoned, so that nothing is sent behind the back of a caller that has gone.
pub(crate) struct Reports<'a> {
    generation: &'a Generation,
    deadline: Instant,
    message_timeout: Duration,
    suspects: Vec<usize>,
    /// Why the generation was abandoned, if it was.
    abandoned: Option<Unavailable>,
    awaiting: bool,
}

impl<'a> Reports<'a> {
    pub(crate) const fn new(
        generation: &'a Generation,
        deadline: Instant,
        message_timeout: Duration,
    ) -> Self {
        let suspects = Vec::new();
        Self { generation, deadline, message_timeout, suspects, abandoned: None, awaiting: false }
    }

    /// Hands `records` over and awaits the report on each, at most until the deadline and a short grace.
    pub(crate) async fn collect(&mut self, records: &[&Record]) -> Vec<Result<(), SendError>> {
        self.awaiting = true;
        let mut results = Vec::with_capacity(records.len());
        for (place, handed_over) in self.generation.enqueue(records).into_iter().enumerate() {
            results.push(match handed_over {
                Ok(delivery) => {
                    let result = self.next(delivery).await;
                    if matches!(result, Err(SendError::Rejected(_))) {
                        self.suspects.push(place);
                    }
                    result
                }
                Err(error) => Err(error),
            });
        }
        self.awaiting = false;
        results
    }

    /// The places of the records that a broker rejected, maybe for the sake of another one in the same
    /// batch. What the client itself rejects is not among them.
    pub(crate) fn into_suspects(mut self) -> Vec<usize> {
        std::mem::take(&mut self.suspects)
    }

    async fn next(&mut self, mut delivery: Delivery) -> Result<(), SendError> {
        let report = loop {
            let until = self.deadline.min(Instant::now() + FATAL_ERROR_INTERVAL);
            match timeout_at(until, &mut delivery).await {
                Ok(report) => break report,
                Err(_) if Instant::now() < self.deadline => {
                    if !self.generation.is_usable() {
                        self.abandon(Unavailable::Abandoned);
                    }
                }
                Err(_) => match &self.abandoned {
                    None => self.abandon(Unavailable::TimedOut(self.message_timeout)),
                    Some(reason) => return Err(SendError::Unavailable(reason.clone())),
                },
            }
        };
        match (report, &self.abandoned) {
            // Without a place the client only concludes from a later batch that this one was stored too,
            // which a broker that does not know the client gives no right to.
            (Ok(Ok(offset)), _) if offset < 0 => Err(SendError::Unavailable(Unavailable::Unproven)),
            (Ok(Ok(_)), _) => Ok(()),
            (_, Some(reason)) => Err(SendError::Unavailable(reason.clone())),
            (Ok(Err(error)), None) => Err(SendError::from_client(error)),
            (Err(_), None) => Err(SendError::Unavailable(Unavailable::Abandoned)),
        }
    }

    /// Abandons the generation, once, and gives it a little time to report on what it still holds.
    fn abandon(&mut self, reason: Unavailable) {
        if self.abandoned.is_none() {
            self.generation.abandon();
            self.abandoned = Some(reason);
            self.deadline = Instant::now() + PURGE_GRACE;
        }
    }
}

impl Drop for Reports<'_> {
    fn drop(&mut self) {
        if self.awaiting {
            self.generation.abandon();
        }
    }
}
