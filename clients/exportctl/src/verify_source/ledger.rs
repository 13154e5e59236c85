//! What was asked, how each answer is to be met, and what came: the only state that the server and the
//! scenarios share. Only exports that were asked for here are in it; what comes for others is not judged.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{content::Content, request::Request};

/// Most requests for other things that are remembered, and as many that name an export of ours.
const MAX_STRAYS: usize = 20;

/// Most posts of one case; an application that sends again without a pause would fill the memory.
const MAX_ATTEMPTS: usize = 1000;

/// How one post is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// As the platform does.
    Platform,
    /// With this status, and seconds in Retry-After.
    Refuse(u16, Option<u64>),
    /// Read slowly and answered late.
    Slow,
    /// Read to its middle; then the connection is broken.
    Cut,
    /// Read, and answered when the case is released.
    Hold,
}

/// How the posts of one case are met, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    first: VecDeque<Behaviour>,
    then: Behaviour,
    due: bool,
}

impl Script {
    /// As the platform does: an answer is due in time, once.
    pub(crate) fn platform() -> Self {
        Self { due: true, ..Self::first(&[]) }
    }

    /// These, then as the platform does.
    pub(crate) fn first(behaviours: &[Behaviour]) -> Self {
        Self { first: behaviours.iter().copied().collect(), then: Behaviour::Platform, due: false }
    }

    /// Always this.
    pub(crate) fn always(behaviour: Behaviour) -> Self {
        Self { first: VecDeque::new(), then: behaviour, due: false }
    }

    fn next(&mut self) -> Behaviour {
        self.first.pop_front().unwrap_or(self.then)
    }
}

/// The key of a post. A wrong one is not kept: it may be real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySent {
    /// The right one, once.
    Right,
    /// None.
    Missing,
    /// More than once.
    Repeated,
    /// Another one.
    Wrong,
    /// Beside a token.
    BesideToken,
}

/// The head of a post.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// The header `x-rh-exports-psk`.
    pub(crate) key: KeySent,
    /// Whether the key stands in the URL.
    pub(crate) key_in_url: bool,
    /// The header.
    pub(crate) content_type: Option<String>,
    /// The header, in lower case; None for plain data.
    pub(crate) content_encoding: Option<String>,
    /// Sent in chunks, without a length.
    pub(crate) chunked: bool,
}

/// An error report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorReport {
    /// For the customer.
    pub(crate) message: String,
    /// Never zero.
    pub(crate) code: i64,
}

impl ErrorReport {
    /// Reads a report as the platform does (S0-19).
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let body: Value =
            serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
        let message = body.get("message").and_then(Value::as_str).ok_or("it has no text `message`")?;
        let code = body.get("error").or_else(|| body.get("code")).and_then(Value::as_i64);
        match code {
            None => Err("it has no integer `error`".to_owned()),
            Some(0) => Err("its `error` is 0".to_owned()),
            Some(code) => Ok(Self { message: message.to_owned(), code }),
        }
    }
}

/// What a post held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// It was not looked at.
    Unread,
    /// Data.
    Data(Content),
    /// An error report, or what is wrong with it.
    Report(Result<ErrorReport, String>),
    /// It ended before its end, or was not in its encoding.
    Broken(String),
    /// Nothing came for so long.
    Stalled(Duration),
}

/// One post.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// When its head came.
    pub(crate) arrived: Instant,
    /// Its head.
    pub(crate) head: Head,
    /// When its body was whole.
    pub(crate) received: Option<Instant>,
    /// What it held.
    pub(crate) body: Body,
    /// When it was over.
    pub(crate) ended: Option<Instant>,
    /// What it was answered with; None when it was not.
    pub(crate) status: Option<u16>,
}

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
    /// Its posts, in the order of their heads.
    pub(crate) attempts: Vec<Attempt>,
    /// The answer that was taken, by which attempt, and when.
    pub(crate) settled: Option<(Settled, usize, Instant)>,
    /// Whether the event was sent again.
    pub(crate) copied: bool,
    script: Script,
    released: bool,
}

impl Case {
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

    fn settle(&mut self, attempt: usize, answer: Settled) -> u16 {
        match &self.settled {
            None => {
                self.settled = Some((answer, attempt, Instant::now()));
                202
            }
            Some((known, ..)) if same(known, &answer) => 202,
            Some(_) => 410,
        }
    }
}

/// Whether the platform would take one answer for the other (S0-47c).
pub(crate) fn same(one: &Settled, other: &Settled) -> bool {
    match (one, other) {
        (Settled::Data(one), Settled::Data(other)) => one.sha256 == other.sha256,
        (Settled::Error(one), Settled::Error(other)) => one == other,
        _ => false,
    }
}

/// A request to the internal API that belongs to no case.
#[derive(Debug, Clone)]
pub(crate) struct Stray {
    /// Method and path, and why it belongs to none.
    pub(crate) what: String,
    /// Whether it names an export that was asked for here.
    pub(crate) ours: bool,
    /// Whether the key stands in its URL.
    pub(crate) key_in_url: bool,
}

/// Everything, at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// By export.
    pub(crate) cases: BTreeMap<Uuid, Case>,
    /// What belongs to none of them; the first of them.
    pub(crate) strays: Vec<Stray>,
}

/// The shared state.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

impl Ledger {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.send_replace(());
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of everything.
    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    /// Looks at everything without a copy.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Waits until `look` finds something; None when it did not within `limit`.
    pub(crate) async fn wait<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&State) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.changed.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(&self.lock()) {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        timeout(limit, found).await.ok().flatten()
    }

    /// Notes that `request` is about to be sent.
    pub(crate) fn open(&self, request: Request, purpose: &str, script: Script) {
        let case = Case {
            purpose: purpose.to_owned(),
            asked: Instant::now(),
            attempts: Vec::new(),
            settled: None,
            copied: false,
            script,
            released: false,
            request,
        };
        self.change(|state| state.cases.insert(case.request.export_id, case));
    }

    /// Notes that the event of a case is about to be sent again, and returns it.
    pub(crate) fn copy(&self, export_id: Uuid) -> Option<Request> {
        self.with_case(export_id, |case| {
            case.copied = true;
            case.request.clone()
        })
    }

    /// Lets a held answer go.
    pub(crate) fn release(&self, export_id: Uuid) {
        self.with_case(export_id, |case| case.released = true);
    }

    /// Waits until a held answer may go.
    pub(crate) async fn released(&self, export_id: Uuid, limit: Duration) {
        self.wait(limit, |state| state.cases.get(&export_id)?.released.then_some(())).await;
    }

    /// Notes what belongs to no case.
    pub(crate) fn note_stray(&self, stray: Stray) {
        self.change(|state| {
            if state.strays.iter().filter(|known| known.ours == stray.ours).count() < MAX_STRAYS {
                state.strays.push(stray);
            }
        });
    }

    /// A post has come for a case: its number, how it is to be met, and in which format data was asked for.
    /// None when there is no such case, or it had too many posts.
    pub(crate) fn begin(&self, export_id: Uuid, head: Head) -> Option<(usize, Behaviour, String)> {
        let begun = self.with_case(export_id, |case| {
            if case.attempts.len() >= MAX_ATTEMPTS {
                return None;
            }
            let (arrived, behaviour) = (Instant::now(), case.script.next());
            case.attempts.push(Attempt {
                arrived,
                head,
                received: None,
                body: Body::Unread,
                ended: None,
                status: None,
            });
            Some((case.attempts.len() - 1, behaviour, case.request.format.clone()))
        });
        begun.flatten()
    }

    /// A post's body is whole, or will never be.
    pub(crate) fn received(&self, export_id: Uuid, attempt: usize, body: Body) {
        self.with_attempt(export_id, attempt, |attempt| {
            attempt.received = Some(Instant::now());
            attempt.body = body;
        });
    }

    /// What the platform would answer to a post that was received; a first good answer settles the source.
    pub(crate) fn settle(&self, export_id: Uuid, attempt: usize) -> u16 {
        let status = self.with_case(export_id, |case| {
            let answer = match case.attempts.get(attempt).map(|attempt| attempt.body.clone()) {
                Some(Body::Data(content)) => Settled::Data(content),
                Some(Body::Report(Ok(report))) => Settled::Error(report),
                Some(Body::Stalled(_)) => return 408,
                _ => return 400,
            };
            case.settle(attempt, answer)
        });
        status.unwrap_or(404)
    }

    /// A post is over; `status` is what it was answered with.
    pub(crate) fn end(&self, export_id: Uuid, attempt: usize, status: Option<u16>) {
        self.with_attempt(export_id, attempt, |attempt| {
            attempt.ended = Some(Instant::now());
            attempt.status = status;
        });
    }

    fn with_attempt(&self, export_id: Uuid, attempt: usize, change: impl FnOnce(&mut Attempt)) {
        self.with_case(export_id, |case| case.attempts.get_mut(attempt).map(change));
    }

    fn with_case<T>(&self, export_id: Uuid, change: impl FnOnce(&mut Case) -> T) -> Option<T> {
        self.change(|state| state.cases.get_mut(&export_id).map(change))
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

    #[tokio::test]
    async fn s0_47c_the_first_answer_counts_and_the_same_again_is_welcome() {
        let (ledger, request) = (Ledger::default(), Request::new("a", "r", "json", None));
        let id = request.export_id;
        ledger.open(request, "a request", Script::first(&[Behaviour::Cut]));
        let head = Head {
            key: KeySent::Right,
            key_in_url: false,
            content_type: None,
            content_encoding: None,
            chunked: false,
        };
        let answer = |code, expected| {
            let (attempt, behaviour, _) = ledger.begin(id, head.clone()).unwrap();
            assert_eq!(behaviour, expected);
            ledger.received(id, attempt, Body::Report(Ok(ErrorReport { message: "no".to_owned(), code })));
            ledger.settle(id, attempt)
        };
        assert_eq!(answer(1, Behaviour::Cut), 202);
        assert_eq!(answer(1, Behaviour::Platform), 202);
        assert_eq!(answer(2, Behaviour::Platform), 410);
        assert!(ledger.begin(Uuid::nil(), head.clone()).is_none());
        let settled = ledger.wait(Duration::ZERO, |state| state.cases[&id].answer().cloned()).await;
        assert_eq!(settled, Some(Settled::Error(ErrorReport { message: "no".to_owned(), code: 1 })));
    }
}
