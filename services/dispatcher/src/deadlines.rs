//! Sources that nobody answers are asked again, and fail at their deadline, so that every export ends (S0-deadline).

use std::sync::Arc;

use bus::RequestEvents;
use chrono::TimeDelta;
use domain::{Record, RequestEvent, SharedClock};
use service::{
    Context,
    metrics::Counter,
    worker::{Outcome, Worker},
};
use store::{Store, StoreError};
use tokio::sync::Notify;

use crate::settings::DispatcherSettings;

/// Most sources looked at in one step, and the others of their exports.
const BATCH: u32 = 100;

/// What the loop works with.
pub(crate) struct Deadlines {
    store: Store,
    clock: SharedClock,
    events: RequestEvents,
    /// Wakes the loop that sends.
    wake: Arc<Notify>,
    upload_overtime: TimeDelta,
    unanswered: Counter<1>,
}

impl Deadlines {
    pub(crate) fn new(
        context: &Context,
        store: &Store,
        settings: &DispatcherSettings,
        events: RequestEvents,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            upload_overtime: settings.upload_overtime.as_time_delta(),
            store: store.clone(),
            clock: context.clock().clone(),
            events,
            wake,
            unanswered: context.metrics().counter(
                "sources_unanswered_total",
                "Sources that nobody answered in time, by what became of them: asked_again, given_up.",
                ["outcome"],
            ),
        }
    }

    /// Fails what is overdue, then asks again what is due.
    async fn step(&self) -> Result<Outcome, StoreError> {
        let now = self.clock.now();
        let given_up = self.store.fail_overdue(now, self.upload_overtime, BATCH).await?;
        if given_up > 0 {
            self.unanswered.add(["given_up"], given_up as u64);
            tracing::info!(sources = given_up, "sources failed because nobody answered in time");
        }
        let events = self.events.clone();
        let asked = self.store.ask_again(now, BATCH, move |event| render(&events, event)).await?;
        if asked > 0 {
            service::failpoint!("dispatcher::asked-again");
            self.wake.notify_one();
            self.unanswered.add(["asked_again"], asked as u64);
            tracing::info!(sources = asked, "sources are asked again because nobody has answered");
        }
        Ok(if given_up + asked > 0 { Outcome::Done } else { Outcome::Idle })
    }
}

/// None for a source that was accepted under other settings and cannot be sent under these.
fn render(events: &RequestEvents, event: &RequestEvent) -> Option<Record> {
    let rendered = events.render(event).inspect_err(|error| {
        tracing::error!(export.id = %event.export_id, resource.id = %event.resource_id,
            error = service::chain(error), "a source cannot be asked again and will fail at its deadline");
    });
    rendered.ok()
}

/// Starts the loop.
pub(crate) fn start(context: &Context, deadlines: Deadlines, settings: &DispatcherSettings) {
    let deadlines = Arc::new(deadlines);
    Worker::new("deadlines", settings.deadline_poll.as_duration()).start(context, move || {
        let deadlines = Arc::clone(&deadlines);
        async move { deadlines.step().await }
    });
}
