//! The embedded broker forgets everything when the process ends: what was asked and not answered is asked
//! again, with the same events.

use bus::{EventSettings, RequestEvents};
use domain::{Record, SharedClock, ids::ExportId};
use service::BoxError;
use store::Store;

const PAGE: u32 = 500;

/// Queues every unanswered request once more. A record that is still in the outbox goes out twice then; both
/// copies are the same event.
pub(crate) async fn resend_unanswered(
    store: &Store,
    settings: &EventSettings,
    clock: &SharedClock,
) -> Result<(), BoxError> {
    let events = RequestEvents::new(settings)?;
    let mut after = None;
    loop {
        let now = clock.now();
        let requests = store.unanswered_requests(after, now, PAGE).await?;
        let Some(last) = requests.last() else { return Ok(()) };
        after = Some((last.export_id, last.resource_id));
        let records: Vec<(ExportId, Record)> = requests
            .iter()
            .map(|event| Ok((event.export_id, events.render(event)?)))
            .collect::<Result<_, bus::EventError>>()?;
        tracing::info!(requests = records.len(), "asking again for what was not answered");
        store.enqueue_records(records, now).await?;
    }
}
