//! The way in: a pool of connections, and the two calls everything goes through.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{Connection as _, PgConnection, r2d2};
use tokio::{
    sync::Semaphore,
    time::{timeout, timeout_at},
};

use crate::{
    connection::{Manager, ensure_writable},
    error::StoreError,
    migrations,
    settings::Settings,
};

/// How often a transaction that collided with others is run.
const MAX_RUNS: u32 = 5;

/// Opening a connection is given this long even to whoever has waited for his turn until the last moment.
const MIN_CONNECT: Duration = Duration::from_millis(100);

/// Settings of more than this are as good as none.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// The longest pause between attempts to connect to a database that is away: not so short that a process
/// hammers it, and not so long that requests go on failing when it is back.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Postgres, through a bounded pool. Clones share the pool.
#[derive(Clone)]
pub struct Store {
    pool: r2d2::Pool<Manager>,
    permits: Arc<Semaphore>,
    /// For calls that may read a million rows: a quarter of the connections, so that the others stay free.
    long_permits: Arc<Semaphore>,
    wait: Duration,
    longest: Duration,
    pub(crate) settings: Arc<Settings>,
}

/// How many connections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Most there may be.
    pub size: u32,
    /// Open now.
    pub open: u32,
    /// Open and unused.
    pub idle: u32,
}

impl Store {
    /// Prepares the pool. It does not wait for the database: until that answers, calls fail with
    /// [`StoreError::Unavailable`].
    pub fn connect(settings: Settings) -> Self {
        // Else OpenSSL takes itself apart when the process exits, underneath threads of the pool that still
        // open or close a connection: a crash instead of the exit status. The first call of OpenSSL decides.
        openssl_sys::init();
        let wait = settings.pool_wait.as_duration().min(LONGEST_WAIT);
        let longest = wait + 2 * settings.statement_timeout.as_duration().min(LONGEST_WAIT);
        let size = settings.pool_size.max(1);
        let settings = Arc::new(settings);
        let pool = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(1))
            .test_on_check_out(true)
            // Of use only for the pause between attempts: it grows to half of this.
            .connection_timeout(2 * RETRY_PAUSE)
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(Manager::new(Arc::clone(&settings)));
        let permits = Arc::new(Semaphore::new(size as usize));
        let long_permits = Arc::new(Semaphore::new((size as usize / 4).max(1)));
        Self { pool, permits, long_permits, wait, longest, settings }
    }

    /// Runs `work` as one transaction: all of it or nothing. `work` is run again when it collides with
    /// others, so it must have no effect outside the database; and it must be short.
    ///
    /// # Errors
    /// What `work` returns, and [`StoreError`] of its own.
    pub(crate) async fn tx<T, F>(&self, name: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.run(name, move |connection| connection.transaction(|connection| work(connection))).await
    }

    /// Runs `work`, which is a single statement and so a transaction of its own: two round trips less.
    ///
    /// # Errors
    /// What `work` returns, and [`StoreError`] of its own.
    pub(crate) async fn statement<T, F>(&self, name: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        self.run(name, work).await
    }

    /// As [`Store::statement`], for work that reads as many rows as a caller has: only a part of the
    /// connections does such work at a time.
    ///
    /// # Errors
    /// What `work` returns, and [`StoreError`] of its own; [`StoreError::Busy`] also when others do such work.
    pub(crate) async fn long_statement<T, F>(&self, name: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = timeout(self.wait, Arc::clone(&self.long_permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(StoreError::Busy) };
        self.run(name, move |connection| {
            // Dropped with the work, and not when the caller goes away.
            let _permit = &permit;
            work(connection)
        })
        .await
    }

    async fn run<T, F>(&self, name: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let deadline = Instant::now() + self.wait;
        let permit = timeout_at(deadline.into(), Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(StoreError::Busy) };
        let (pool, span) = (self.pool.clone(), tracing::debug_span!("transaction", name));
        let running = tokio::task::spawn_blocking(move || {
            // Dropped last, and not when the caller goes away: as long as the work runs it has a connection.
            let _permit = permit;
            let _entered = span.entered();
            let wait = deadline.saturating_duration_since(Instant::now()).max(MIN_CONNECT);
            let mut pooled = pool
                .get_timeout(wait)
                .map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
            let mut runs = 1;
            loop {
                let outcome = work(&mut pooled.connection);
                match &outcome {
                    Err(StoreError::Collision) if runs < MAX_RUNS => runs += 1,
                    // Not after `TimedOut`: to open another would only be more work for a slow server. Should it
                    // be within a transaction still, the pool notices.
                    Err(StoreError::Unavailable { .. }) => {
                        pooled.broken = true;
                        return outcome;
                    }
                    _ => return outcome,
                }
            }
        });
        // Postgres ends what takes too long; but a server or a network that is frozen ends nothing.
        let Ok(ran) = timeout(self.longest, running).await else {
            return Err(StoreError::Unavailable { reason: "the database does not answer".to_owned() });
        };
        ran.unwrap_or_else(|panicked| match panicked.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Unavailable { reason: "the process is stopping".to_owned() }),
        })
    }

    /// Whether the database can do work: reachable, writable, and with this version's migrations.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] says what is missing.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.statement("check", |connection| {
            ensure_writable(connection).map_err(|reason| StoreError::Unavailable { reason })?;
            migrations::ensure_applied(connection)
        })
        .await
    }

    /// How many connections there are now.
    pub fn pool_state(&self) -> PoolState {
        let state = self.pool.state();
        PoolState { size: self.pool.max_size(), open: state.connections, idle: state.idle_connections }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("pool", &self.pool_state()).finish()
    }
}
