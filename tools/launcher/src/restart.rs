//! Starts a server again that ended by itself, for as long as it takes.

use std::error::Error;

use tokio::time::Instant;

use crate::pauses::Pauses;

/// What is known of one server's ends.
#[derive(Debug)]
pub(crate) struct Restart {
    name: &'static str,
    pauses: Pauses,
    /// None while it runs.
    next_try: Option<Instant>,
}

impl Restart {
    /// Of a server that runs, as people know it.
    pub(crate) const fn of(name: &'static str) -> Self {
        Self { name, pauses: Pauses::new(), next_try: None }
    }

    /// Calls `restart` if the server does not run: at once, and after growing pauses while that fails.
    pub(crate) async fn ensure<E: Error>(
        &mut self,
        is_running: bool,
        restart: impl AsyncFnOnce() -> Result<(), E>,
    ) {
        if is_running || self.next_try.is_some_and(|at| Instant::now() < at) {
            return;
        }
        if self.next_try.is_none() {
            println!("{} ended, starting it again", self.name);
        }
        match restart().await {
            Ok(()) => {
                println!("{} runs again", self.name);
                *self = Self::of(self.name);
            }
            Err(error) => {
                let pause = self.pauses.longer();
                println!("{} does not start, trying again in {pause:?}: {error}", self.name);
                self.next_try = Some(Instant::now() + pause);
            }
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
    async fn a_server_that_runs_again_is_left_alone() {
        assert_eq!(tries_within(FIRST_PAUSE * 10, 3).await, 3);
    }
}
