//! How long a client was waited for. What we take ourselves, for memory or for the store, is not counted.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// Counts the time from a question that the client left open to its answer.
#[derive(Debug)]
pub(super) struct Patience {
    idle_timeout: Duration,
    /// In all.
    waited: Duration,
    /// Since the client sent something.
    idle: Duration,
    asked: Option<Asked>,
    timer: Pin<Box<Sleep>>,
}

/// A question that is open.
#[derive(Debug)]
struct Asked {
    at: Instant,
    answer: Arc<Answer>,
}

/// Passes the wake-up on and notes when it came: the reader may come back much later.
#[derive(Debug)]
struct Answer {
    at: OnceLock<Instant>,
    reader: Waker,
}

impl Wake for Answer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.at.get_or_init(Instant::now);
        self.reader.wake_by_ref();
    }
}

impl Patience {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        let timer = Box::pin(sleep(idle_timeout));
        Self { idle_timeout, waited: Duration::ZERO, idle: Duration::ZERO, asked: None, timer }
    }

    /// Counts the wait that ends here, and begins another. The client is to be asked with the waker that
    /// this returns.
    pub(super) fn ask(&mut self, reader: &Waker) -> Waker {
        let now = Instant::now();
        if let Some(Asked { at, answer }) = self.asked.take() {
            let wait = answer.at.get().copied().unwrap_or(now).saturating_duration_since(at);
            self.waited += wait;
            self.idle += wait;
        }
        let answer = Arc::new(Answer { at: OnceLock::new(), reader: reader.clone() });
        self.asked = Some(Asked { at: now, answer: Arc::clone(&answer) });
        answer.into()
    }

    /// The client sent something. Returns how long it was waited for in all.
    pub(super) fn answered(&mut self) -> Duration {
        self.asked = None;
        self.idle = Duration::ZERO;
        self.waited
    }

    /// Ready once the client has sent nothing for the idle timeout.
    pub(super) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.idle_timeout.saturating_sub(self.idle);
        // A timer is never due the moment it is set: it would be set again for ever.
        if left.is_zero() {
            return Poll::Ready(());
        }
        self.timer.as_mut().reset(Instant::now() + left);
        self.timer.as_mut().poll(cx)
    }
}
