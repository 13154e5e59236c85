//! The embedded broker forgets everything when the process ends: what was asked and not answered is asked
//! again, with the same events.

use bus::{EventSettings, RequestEvents};
use domain::{Record, RequestEvent, SharedClock, ids::ExportId};
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
        let records = render(&events, &requests);
        tracing::info!(requests = records.len(), "asking again for what was not answered");
        store.enqueue_records(records, now).await?;
    }
}

/// The records of `requests`. One that was accepted under other settings and cannot be sent under these is left
/// to its deadline: all the others must not wait for it.
fn render(events: &RequestEvents, requests: &[RequestEvent]) -> Vec<(ExportId, Record)> {
    let record = |event: &RequestEvent| match events.render(event) {
        Ok(record) => Some((event.export_id, record)),
        Err(error) => {
            tracing::error!(export.id = %event.export_id, resource.id = %event.resource_id,
                error = service::chain(&error), "a request cannot be asked again and will fail at its deadline");
            None
        }
    };
    requests.iter().filter_map(record).collect()
}

#[cfg(test)]
mod tests {
    use domain::{
        ApplicationName, ByteSize, ExportFormat, ResourceName,
        ids::{EventId, ResourceId},
    };

    use super::*;

    fn request(filter: &str) -> RequestEvent {
        RequestEvent {
            id: EventId::random(),
            time: "2026-11-21T06:37:51Z".parse().unwrap(),
            export_id: ExportId::random(),
            resource_id: ResourceId::random(),
            org_id: "1".to_owned(),
            application: ApplicationName::parse("inventory").unwrap(),
            resource: ResourceName::parse("packages").unwrap(),
            format: ExportFormat::Json,
            identity: "e30=".to_owned(),
            filters: serde_json::json!({"section": filter}).as_object().cloned(),
        }
    }

    #[test]
    fn a_request_that_has_become_too_large_does_not_keep_the_others_from_being_asked() {
        let settings = EventSettings { max_message_bytes: ByteSize::from_kib(4), ..EventSettings::default() };
        let events = RequestEvents::new(&settings).unwrap();
        let requests = [request("libs"), request(&"x".repeat(5000)), request("games")];
        let asked: Vec<_> = render(&events, &requests).into_iter().map(|(export, _)| export).collect();
        assert_eq!(asked, [requests[0].export_id, requests[2].export_id]);
    }
}
