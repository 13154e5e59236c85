//! Background loops.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{Clock as _, SystemClock};
use service::{
    BoxError, Context,
    worker::{Outcome, Worker, keep_trying},
};
use tokio::{sync::mpsc, time::Instant};

const POLL: Duration = Duration::from_mins(1);

type Script = VecDeque<Result<Outcome, BoxError>>;

/// Starts a loop that plays `script` and is idle from then on; every step is told of.
fn play(script: impl Into<Script>) -> (Context, Arc<tokio::sync::Notify>, mpsc::UnboundedReceiver<Instant>) {
    let ctx = Context::new("test", Arc::new(SystemClock));
    let worker = Worker::new("loop", POLL);
    let wake = worker.wake();
    let (tell, steps) = mpsc::unbounded_channel();
    let script = Mutex::new(script.into());
    worker.start(&ctx, move || {
        tell.send(Instant::now()).unwrap();
        let next = script.lock().unwrap().pop_front().unwrap_or(Ok(Outcome::Idle));
        async move { next }
    });
    (ctx, wake, steps)
}

async fn wait_before_next(steps: &mut mpsc::UnboundedReceiver<Instant>) -> Duration {
    let before = Instant::now();
    steps.recv().await.unwrap() - before
}

#[tokio::test(start_paused = true)]
async fn after_work_the_next_step_follows_at_once_and_after_none_at_the_poll() {
    let (_ctx, _wake, mut steps) =
        play([Ok(Outcome::Done), Ok(Outcome::GiveUp("too old".into())), Ok(Outcome::Idle)]);
    for _ in 0..3 {
        assert_eq!(wait_before_next(&mut steps).await, Duration::ZERO);
    }
    let wait = wait_before_next(&mut steps).await;
    assert!(wait >= POLL / 2 && wait <= POLL + Duration::from_millis(5), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_ends_the_wait_even_when_it_comes_before_it() {
    let (_ctx, wake, mut steps) = play([]);
    wake.notify_one();
    steps.recv().await.unwrap();
    assert_eq!(wait_before_next(&mut steps).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn work_for_later_is_done_then() {
    let in_two_seconds = SystemClock.now() + chrono::TimeDelta::seconds(2);
    let (_ctx, _wake, mut steps) = play([Ok(Outcome::RetryAt(in_two_seconds))]);
    steps.recv().await.unwrap();
    let wait = wait_before_next(&mut steps).await;
    assert!(wait > Duration::from_secs(1) && wait <= Duration::from_millis(2_005), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_ever_more_slowly_and_no_wake_up_hurries_them() {
    let failures = (0..4).map(|_| Err("no connection".into()));
    let (ctx, wake, mut steps) = play(failures.collect::<Script>());
    wake.notify_one();
    steps.recv().await.unwrap();
    let mut shortest = Duration::from_millis(100);
    for _ in 0..4 {
        let wait = wait_before_next(&mut steps).await;
        assert!(
            wait >= shortest && wait <= 2 * shortest + Duration::from_millis(5),
            "{wait:?} of {shortest:?}"
        );
        shortest *= 2;
    }
    let metrics = ctx.metrics().render();
    let errors = r#"worker_steps_total{outcome="error",service="test",worker="loop"} 4"#;
    assert!(metrics.contains(errors), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_loop_stops_between_steps() {
    let (ctx, _wake, mut steps) = play([]);
    steps.recv().await.unwrap();
    assert!(ctx.stop(Duration::from_secs(1), pending()).await);
    assert!(steps.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_is_dropped_at_the_hard_stop() {
    let ctx = Context::new("test", Arc::new(SystemClock));
    Worker::new("loop", POLL).start(&ctx, pending::<Result<Outcome, BoxError>>);
    assert!(ctx.stop(Duration::from_secs(1), pending()).await);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_is_waited_for_at_start() {
    let ctx = Context::new("test", Arc::new(SystemClock));
    let mut left = 3;
    let found = keep_trying(&ctx, "the database", || {
        left -= 1;
        std::future::ready(if left == 0 { Ok("there") } else { Err("refused") })
    });
    assert_eq!(found.await, Some("there"));
    ctx.soft_stop().cancel();
    let given_up = keep_trying(&ctx, "the database", || std::future::ready(Err::<(), _>("refused")));
    assert_eq!(given_up.await, None);
}
