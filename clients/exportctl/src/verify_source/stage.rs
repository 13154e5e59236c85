//! What scenarios work with: asking, waiting for answers, noting findings.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    arguments::Arguments,
    case::{Case, Settled},
    check::Check,
    kafka::{Kafka, Place},
    ledger::Ledger,
    post::Body,
    report::{Finding, Report},
    request::{Record, Request},
    script::Script,
};

/// Why the run cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// Not one request was answered.
    #[error("the application answered nothing")]
    Silent,
    /// The application answers no more.
    #[error("the application answered nothing any more after {0}")]
    Stuck(String),
    /// Kafka does not do its part.
    #[error(transparent)]
    Kafka(#[from] anyhow::Error),
}

/// The stage of all scenarios.
pub(crate) struct Stage<'a> {
    /// The command line.
    pub(crate) arguments: &'a Arguments,
    /// What was asked and what came.
    pub(crate) ledger: Arc<Ledger>,
    /// Where requests go.
    pub(crate) kafka: Kafka,
    /// What was found so far.
    pub(crate) report: Report,
    /// Cases that are judged at the end of the run, because something should not happen.
    pub(crate) watched: BTreeMap<Check, Vec<Uuid>>,
    /// Failures after which the next request was answered.
    pub(crate) went_on: u32,
    /// Is told what each request is about.
    pub(crate) progress: fn(&str),
}

impl Stage<'_> {
    /// How long one answer may take.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.arguments.answer_within)
    }

    /// Notes a finding, if the check was asked for.
    pub(crate) fn note(&mut self, check: Check, finding: Finding) {
        if self.arguments.wants(check) {
            self.report.note(check, finding);
        }
    }

    /// Leaves a case to the end of the run.
    pub(crate) fn watch(&mut self, check: Check, export_id: Uuid) {
        self.watched.entry(check).or_default().push(export_id);
    }

    /// A request for the resource in its main format.
    pub(crate) fn plain(&self, filters: Option<Map<String, Value>>) -> Request {
        self.request(&self.arguments.resource, self.arguments.main_format().as_str(), filters)
    }

    /// A request to the application.
    pub(crate) fn request(
        &self,
        resource: &str,
        format: &str,
        filters: Option<Map<String, Value>>,
    ) -> Request {
        Request::new(&self.arguments.application, resource, format, filters)
    }

    /// The record of a request.
    pub(crate) fn record(&self, request: &Request) -> Record {
        request.to_record(&self.arguments.identity)
    }

    /// Sends a request whose answer is met as `script` says. Returns the export's id.
    ///
    /// # Errors
    /// When Kafka does not take it.
    pub(crate) async fn ask(&self, purpose: &str, request: Request, script: Script) -> Result<Uuid, Stop> {
        let id = request.export_id;
        self.ask_at(purpose, request, script).await?;
        Ok(id)
    }

    /// As [`ask`](Self::ask), but returns where the record lies.
    ///
    /// # Errors
    /// When Kafka does not take it.
    pub(crate) async fn ask_at(
        &self,
        purpose: &str,
        request: Request,
        script: Script,
    ) -> Result<Place, Stop> {
        (self.progress)(purpose);
        let record = self.record(&request);
        self.ledger.open(request, purpose, script);
        Ok(self.kafka.send(&record).await?)
    }

    /// Asks for the resource with `filters`, as the platform does.
    ///
    /// # Errors
    /// When Kafka does not take it.
    pub(crate) async fn ask_plain(
        &self,
        purpose: &str,
        filters: Option<Map<String, Value>>,
    ) -> Result<Uuid, Stop> {
        self.ask(purpose, self.plain(filters), Script::platform()).await
    }

    /// The answer that was taken; None when none was within the limit, or what came was refused as broken.
    pub(crate) async fn answer(&self, export_id: Uuid) -> Option<Settled> {
        self.answer_within(export_id, self.limit()).await
    }

    /// As [`answer`](Self::answer), with a limit of its own.
    pub(crate) async fn answer_within(&self, export_id: Uuid, limit: Duration) -> Option<Settled> {
        let look = self.ledger.wait(limit, |state| {
            let case = state.cases.get(&export_id)?;
            let broken = case.attempts.iter().any(|attempt| matches!(attempt.status, Some(400 | 413)));
            (case.settled.is_some() || broken).then(|| case.answer().cloned())
        });
        look.await.flatten()
    }

    /// Looks at a case.
    pub(crate) fn case<T>(&self, export_id: Uuid, look: impl FnOnce(&Case) -> T) -> Option<T> {
        self.ledger.look(|state| state.cases.get(&export_id).map(look))
    }

    /// Why there is no answer: what came instead of one.
    pub(crate) fn instead(&self, export_id: Uuid) -> String {
        let came = self.case(export_id, |case| {
            let last = case.attempts.last().map(|attempt| match &attempt.body {
                Body::Report(Err(wrong)) => format!("its error report was refused: {wrong}"),
                Body::Broken(wrong) | Body::Undecodable(wrong) => format!("its data was refused: {wrong}"),
                Body::TooLarge => "its data is larger than 500 MiB, the platform's default limit".to_owned(),
                Body::Stalled(limit) => format!("its data stopped coming for {}", seconds(*limit)),
                Body::Unread | Body::Data(_) | Body::Report(Ok(_)) => {
                    "what it sent did not come to its end".to_owned()
                }
            });
            case.misuse.clone().or(last)
        });
        came.flatten().unwrap_or_else(|| format!("no answer within {}", seconds(self.limit())))
    }

    /// Makes sure that the application goes on after `failure`.
    ///
    /// # Errors
    /// [`Stop::Stuck`] when it does not; more checks would only wait.
    pub(crate) async fn expect_next(&mut self, failure: &str) -> Result<(), Stop> {
        let id = self.ask_plain(&format!("the request after {failure}"), None).await?;
        if self.answer(id).await.is_some() || self.case(id, Case::was_called) == Some(true) {
            self.went_on += 1;
            return Ok(());
        }
        self.note(
            Check::GoesOn,
            Finding::fail(
                format!("after {failure}, the next request was not answered within {}", seconds(self.limit())),
                "Whatever becomes of one answer, go on with the next request: bound tries and time, catch errors.",
            ),
        );
        Err(Stop::Stuck(failure.to_owned()))
    }
}

/// A duration for people.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{:.2} s", duration.as_secs_f64())
    }
}
