//! The way in: a pool of connections, and the two calls everything goes through.

use std::{sync::Arc, time::Duration, time::Instant};

use diesel::{
    Connection as _, ConnectionError, PgConnection, RunQueryDsl as _, connection::SimpleConnection as _, r2d2,
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{error::StoreError, migrations, settings::Settings};

/// A connection that was used more recently than this is taken to be alive: asking first would cost every
/// request a round trip.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// How often a transaction that collided with others is run.
const MAX_RUNS: u32 = 5;

/// Postgres, through a bounded pool. Clones share the pool.
#[derive(Clone)]
pub struct Store {
    pool: r2d2::Pool<Manager>,
    permits: Arc<Semaphore>,
    wait: Duration,
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
        let wait = settings.pool_wait.as_duration();
        let size = settings.pool_size.max(1);
        let settings = Arc::new(settings);
        let pool = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(1))
            .test_on_check_out(true)
            // Also the ceiling of the pause between attempts to connect.
            .connection_timeout(Duration::from_secs(1))
            .error_handler(Box::new(r2d2::NopErrorHandler))
            .build_unchecked(Manager { settings: Arc::clone(&settings) });
        Self { pool, permits: Arc::new(Semaphore::new(size as usize)), wait, settings }
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

    async fn run<T, F>(&self, name: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let Ok(Ok(permit)) = timeout(self.wait, Arc::clone(&self.permits).acquire_owned()).await else {
            return Err(StoreError::Busy);
        };
        let (pool, wait, span) = (self.pool.clone(), self.wait, tracing::debug_span!("transaction", name));
        let ran = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let _entered = span.entered();
            let mut pooled = pool
                .get_timeout(wait)
                .map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
            let mut runs = 1;
            loop {
                let outcome = work(&mut pooled.connection);
                match &outcome {
                    Err(StoreError::Collision) if runs < MAX_RUNS => runs += 1,
                    Err(StoreError::Unavailable { .. }) => {
                        pooled.broken = true;
                        return outcome;
                    }
                    _ => return outcome,
                }
            }
        });
        ran.await.unwrap_or_else(|panicked| match panicked.try_into_panic() {
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

/// Opens connections and tells which are fit for use.
struct Manager {
    settings: Arc<Settings>,
}

/// A connection with what is known of its health.
struct Pooled {
    connection: PgConnection,
    last_known_alive: Instant,
    broken: bool,
}

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = ConnectionError;

    fn connect(&self) -> Result<Pooled, ConnectionError> {
        Ok(Pooled { connection: open(&self.settings)?, last_known_alive: Instant::now(), broken: false })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), ConnectionError> {
        if pooled.last_known_alive.elapsed() >= TRUSTED_FOR {
            // `SELECT 1` would pass on a server that was demoted to a replica.
            ensure_writable(&mut pooled.connection).map_err(ConnectionError::BadConnection)?;
            pooled.last_known_alive = Instant::now();
        }
        Ok(())
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.broken || std::thread::panicking() || r2d2::R2D2Connection::is_broken(&mut pooled.connection)
    }
}

/// Opens a connection outside the pool, with the same limits.
pub(crate) fn open(settings: &Settings) -> Result<PgConnection, ConnectionError> {
    let mut url = settings.url.expose().to_owned();
    url.push(if url.contains('?') { '&' } else { '?' });
    url.push_str("connect_timeout=");
    // libpq takes whole seconds, and less than two as two.
    url.push_str(&settings.connect_timeout.as_duration().as_secs().max(2).to_string());
    url.push_str("&keepalives_idle=15&keepalives_interval=5&keepalives_count=3&tcp_user_timeout=15000");
    let mut connection = PgConnection::establish(&url)?;
    let statement_timeout_ms = settings.statement_timeout.as_duration().as_millis();
    let lock_timeout_ms = settings.lock_timeout.as_duration().as_millis();
    connection
        .batch_execute(&format!(
            "SET statement_timeout = {statement_timeout_ms}; SET lock_timeout = {lock_timeout_ms}; \
             SET idle_in_transaction_session_timeout = {statement_timeout_ms}; SET lc_messages = 'C'"
        ))
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    ensure_writable(&mut connection).map_err(ConnectionError::BadConnection)?;
    Ok(connection)
}

diesel::define_sql_function! {
    /// Whether the server is a replica.
    fn pg_is_in_recovery() -> diesel::sql_types::Bool;
}

fn ensure_writable(connection: &mut PgConnection) -> Result<(), String> {
    match diesel::select(pg_is_in_recovery()).get_result::<bool>(connection) {
        Ok(false) => Ok(()),
        Ok(true) => Err("the database is a read-only replica".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
