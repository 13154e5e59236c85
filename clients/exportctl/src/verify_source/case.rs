//! One request, how its posts are met, and what came of it.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    content::Content,
    post::{Attempt, Body, ErrorReport, Head},
    request::Request,
    script::{Behaviour, Script},
    upload::Upload,
};

/// Most posts of one case; an application that sends again without a pause would fill the memory.
const MAX_ATTEMPTS: usize = 1000;
/// Most resumable uploads of one case. Each is a file.
const MAX_UPLOADS: usize = 50;

/// What a source was settled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Data.
    Data(Content),
    /// An error.
    Error(ErrorReport),
}

/// One request and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// What was asked.
    pub(crate) request: Request,
    /// What for, as in "a request for csv".
    pub(crate) purpose: String,
    /// When.
    pub(crate) asked: Instant,
    /// How much longer than others its answer may take.
    pub(crate) grace: Duration,
    /// Its posts, in the order of their heads. The requests of a resumable upload are one, from its beginning or a
    /// failure to the next failure or its end.
    pub(crate) attempts: Vec<Attempt>,
    /// The heads of all requests of resumable uploads.
    pub(crate) calls: Vec<Head>,
    /// Its resumable uploads.
    pub(crate) uploads: BTreeMap<Uuid, Upload>,
    /// The first request of a resumable upload that was not as the protocol has it, and why.
    pub(crate) misuse: Option<String>,
    /// The answer that was taken, by which attempt, and when.
    pub(crate) settled: Option<(Settled, usize, Instant)>,
    /// Whether the event was sent again.
    pub(crate) copied: bool,
    /// Whether a held answer may go.
    pub(crate) released: bool,
    script: Script,
}

impl Case {
    /// A request that is about to be sent.
    pub(crate) fn new(request: Request, purpose: &str, script: Script) -> Self {
        Self {
            request,
            purpose: purpose.to_owned(),
            asked: Instant::now(),
            grace: Duration::ZERO,
            attempts: Vec::new(),
            calls: Vec::new(),
            uploads: BTreeMap::new(),
            misuse: None,
            settled: None,
            copied: false,
            released: false,
            script,
        }
    }

    /// A post has come: its number, and how it is to be met. None when there were too many.
    pub(crate) fn begin(&mut self, head: Head) -> Option<(usize, Behaviour)> {
        if self.attempts.len() >= MAX_ATTEMPTS {
            return None;
        }
        self.attempts.push(Attempt {
            arrived: Instant::now(),
            head,
            received: None,
            body: Body::Unread,
            ended: None,
            status: None,
        });
        Some((self.attempts.len() - 1, self.script.next()))
    }

    /// Keeps the head of a request of a resumable upload.
    pub(crate) fn note_call(&mut self, head: Head) {
        if self.calls.len() < MAX_ATTEMPTS {
            self.calls.push(head);
        }
    }

    /// Keeps a resumable upload that begins. False when there were too many.
    pub(crate) fn begin_upload(&mut self, id: Uuid, upload: Upload) -> bool {
        let room = self.uploads.len() < MAX_UPLOADS;
        if room {
            self.uploads.insert(id, upload);
        }
        room
    }

    /// What the platform would answer to a post that was received; a first good answer settles the source.
    pub(crate) fn settle(&mut self, attempt: usize) -> u16 {
        let answer = match self.attempts.get(attempt).map(|attempt| attempt.body.clone()) {
            Some(Body::Data(content)) => Settled::Data(content),
            Some(Body::Report(Ok(report))) => Settled::Error(report),
            Some(Body::Stalled(_)) => return 408,
            Some(Body::TooLarge) => return 413,
            _ => return 400,
        };
        match &self.settled {
            None => {
                self.settled = Some((answer, attempt, Instant::now()));
                202
            }
            Some((known, ..)) if same(known, &answer) => 202,
            Some(_) => 410,
        }
    }

    /// Whether anything came for it.
    pub(crate) fn was_called(&self) -> bool {
        !self.attempts.is_empty() || !self.calls.is_empty()
    }

    /// Whether an answer is due in time, once.
    pub(crate) fn is_due(&self) -> bool {
        self.script.due
    }

    /// The posts that came after the answer was taken.
    pub(crate) fn later_attempts(&self) -> &[Attempt] {
        self.settled.as_ref().and_then(|(_, attempt, _)| self.attempts.get(attempt + 1..)).unwrap_or_default()
    }

    /// The answer that was taken.
    pub(crate) fn answer(&self) -> Option<&Settled> {
        self.settled.as_ref().map(|(settled, ..)| settled)
    }

    /// How long after each attempt's end the next one came.
    pub(crate) fn gaps(&self) -> Vec<Duration> {
        let pairs = self.attempts.windows(2);
        pairs
            .map(|pair| pair[1].arrived.saturating_duration_since(pair[0].ended.unwrap_or(pair[0].arrived)))
            .collect()
    }
}

/// Whether the platform would take one answer for the other (S0-47c).
fn same(one: &Settled, other: &Settled) -> bool {
    match (one, other) {
        (Settled::Data(one), Settled::Data(other)) => one.sha256 == other.sha256,
        (Settled::Error(one), Settled::Error(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s0_19_a_report_is_read_as_the_platform_reads_it() {
        let report = ErrorReport { message: "no".to_owned(), code: 404 };
        assert_eq!(ErrorReport::parse(br#"{"message":"no","error":404}"#), Ok(report.clone()));
        assert_eq!(ErrorReport::parse(br#"{"message":"no","code":404}"#), Ok(report));
        for bad in [
            "no",
            "{}",
            r#"{"message":"x"}"#,
            r#"{"message":"x","error":"4"}"#,
            r#"{"message":"x","error":0}"#,
        ] {
            assert!(ErrorReport::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
