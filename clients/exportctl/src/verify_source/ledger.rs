//! Every request with what came of it, and what came besides: the only state that the server and the
//! scenarios share. Only exports that were asked for here are in it; what comes for others is not judged.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{
    case::Case,
    post::{Attempt, Body, Head},
    request::Request,
    script::{Behaviour, Script},
};

/// Most requests for other things that are remembered, and as many that name an export of ours.
const MAX_STRAYS: usize = 20;

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
        let case = Case::new(request, purpose, script);
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
            let (attempt, behaviour) = case.begin(head)?;
            Some((attempt, behaviour, case.request.format.clone()))
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
        self.with_case(export_id, |case| case.settle(attempt)).unwrap_or(404)
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

    /// Changes a case; None when there is none.
    pub(crate) fn with_case<T>(&self, export_id: Uuid, change: impl FnOnce(&mut Case) -> T) -> Option<T> {
        self.change(|state| state.cases.get_mut(&export_id).map(change))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.send_replace(());
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify_source::case::Settled;
    use crate::verify_source::post::{ErrorReport, KeySent};

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
            piece: None,
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
