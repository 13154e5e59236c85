//! Starts a server again that ended by itself, for as long as it takes.

use std::error::Error;

use tokio::time::Instant;

use crate::pauses::{HEALTHY_AFTER, Pauses};

/// What is known of one server's ends.
#[derive(Debug)]
pub(crate) struct Restart {
    name: &'static str,
    pauses: Pauses,
    /// None for one that has not ended, or not for long.
    next_try: Option<Instant>,
    /// Whether the last try failed.
    fails: bool,
}

impl Restart {
    /// Of a server that runs, as people know it.
    pub(crate) const fn of(name: &'static str) -> Self {
        Self { name, pauses: Pauses::new(), next_try: None, fails: false }
    }

    /// Calls `restart` if the server does not run: at once when it had run for long, and else after growing
    /// pauses.
    pub(crate) async fn ensure<E: Error>(
        &mut self,
        is_running: bool,
        restart: impl AsyncFnOnce() -> Result<(), E>,
    ) {
        let now = Instant::now();
        if is_running {
            if self.next_try.is_some_and(|at| now >= at + HEALTHY_AFTER) {
                *self = Self::of(self.name);
            }
            return;
        }
        if self.next_try.is_some_and(|at| now < at) {
            return;
        }
        if !self.fails {
            println!("{} ended, starting it again", self.name);
        }
        let started = restart().await;
        let pause = self.pauses.longer();
        self.next_try = Some(Instant::now() + pause);
        self.fails = started.is_err();
        match started {
            Ok(()) => println!("{} runs again", self.name),
            Err(error) => println!("{} does not start, trying again in {pause:?}: {error}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use super::*;
    use crate::pauses::FIRST_PAUSE;

    /// How often a server that does not run is tried within `time`, when it starts at try number `good`.
    async fn tries_within(time: Duration, good: usize) -> usize {
        let (mut restart, mut tries) = (Restart::of("Server"), 0);
        let end = Instant::now() + time;
        while Instant::now() < end {
            let is_running = tries >= good;
            let start = async || {
                tries += 1;
                if tries < good { Err(io::Error::other("the port is taken")) } else { Ok(()) }
            };
            restart.ensure(is_running, start).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tries
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_start_is_tried_again_after_growing_pauses() {
        assert_eq!(tries_within(FIRST_PAUSE / 2, usize::MAX).await, 1);
        assert_eq!(tries_within(FIRST_PAUSE * 2, usize::MAX).await, 2);
        assert_eq!(tries_within(FIRST_PAUSE * 10, usize::MAX).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_dies_right_after_its_start_is_not_started_all_the_time() {
        let (mut restart, mut starts) = (Restart::of("Server"), 0);
        let mut start = async || {
            starts += 1;
            Ok::<_, io::Error>(())
        };
        let end = Instant::now() + FIRST_PAUSE * 2;
        while Instant::now() < end {
            restart.ensure(false, &mut start).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(HEALTHY_AFTER * 2).await;
        restart.ensure(true, &mut start).await;
        restart.ensure(false, &mut start).await;
        assert_eq!(starts, 3, "at once, after a pause, and at once after a long run");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_runs_again_is_left_alone() {
        assert_eq!(tries_within(FIRST_PAUSE * 10, 3).await, 3);
    }
}
