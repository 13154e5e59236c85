//! All four services, each a process.

use crate::{
    audit::Audit,
    callers::{Answering, Asking},
    payload::payload,
    program::{Program, Service},
    rig::Rig,
};

/// For tests that wait until the leases of a dead process run out.
const SHORT_LEASES: &str = r#"
[kafka]
message_timeout = "1s"
[dispatcher]
lease = "3s"
[internal_api]
upload_lease = "2s"
resumable_upload_piece = "1MiB"
[expiry_reaper]
lease = "1s"
poll = "150ms"
"#;

/// The separate services on one rig.
pub(crate) struct Platform {
    pub(crate) public: Program,
    pub(crate) internal: Program,
    pub(crate) dispatcher: Program,
    pub(crate) reaper: Program,
    pub(crate) asking: Asking,
    pub(crate) answering: Answering,
    pub(crate) rig: Rig,
}

impl Platform {
    /// Starts all services and waits until they are ready.
    pub(crate) async fn start() -> Self {
        Self::on(Rig::new().await).await
    }

    pub(crate) async fn on(rig: Rig) -> Self {
        Self::on_failing(rig, None).await
    }

    /// Starts all services; one of them dies at the failpoint of that name. Of the dispatcher's loops that send
    /// any may come to it first: there is only the one of requests.
    pub(crate) async fn failing_at(service: Service, failpoint: &str) -> Self {
        let rig = Rig::with(&format!("{SHORT_LEASES}\n[lifecycle_events]\nenabled = false")).await;
        Self::on_failing(rig, Some((service, &format!("{failpoint}=return")))).await
    }

    /// Starts all services; one of them does at its failpoints what `FAILPOINTS` says.
    pub(crate) async fn on_failing(rig: Rig, failing: Option<(Service, &str)>) -> Self {
        let start = async |service| match failing {
            Some((failing, actions)) if failing == service => rig.start_failing(service, actions).await,
            _ => rig.start(service).await,
        };
        let (public, internal, dispatcher, reaper) = tokio::join!(
            start(Service::PublicApi),
            start(Service::InternalApi),
            start(Service::Dispatcher),
            start(Service::ExpiryReaper)
        );
        let (asking, answering) = (rig.asking(&public), rig.answering(&internal));
        Self { public, internal, dispatcher, reaper, asking, answering, rig }
    }

    pub(crate) fn program(&mut self, service: Service) -> &mut Program {
        match service {
            Service::PublicApi => &mut self.public,
            Service::InternalApi => &mut self.internal,
            Service::Dispatcher => &mut self.dispatcher,
            Service::ExpiryReaper => &mut self.reaper,
        }
    }

    /// Waits for the end of a service that dies at its failpoint, and starts it again without.
    pub(crate) async fn crash_and_restart(&mut self, service: Service) {
        let program = self.program(service);
        program.expect_crash().await;
        program.restart().await.unwrap();
    }

    /// Waits until `events` events were sent, and delivers for every source that none was delivered for.
    pub(crate) async fn deliver_all(&self, events: usize) {
        for event in self.rig.topic.wait_for(events).await {
            if !self.rig.ledger.books().delivered.contains_key(&event.source) {
                let bytes = payload(&event.source, 3_000);
                let status = self.answering.upload(&event.export, &event.source, bytes).await.unwrap();
                assert_eq!(status, 202);
            }
        }
    }

    /// Looks whether everything that was promised was kept, once all is quiet.
    pub(crate) async fn audit(&self) -> Audit {
        Audit::of(self.rig.evidence(), &self.asking).await
    }
}
