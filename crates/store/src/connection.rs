//! One connection: how it is opened, and when it is fit for use.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use diesel::{
    Connection as _, ConnectionError, PgConnection, RunQueryDsl as _, connection::SimpleConnection as _, r2d2,
};

use domain::Period;

use crate::settings::Settings;

/// A connection is asked whether it is alive only when it was not asked for so long: doing so each time
/// would cost every request a round trip.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Opens connections and tells which are fit for use.
pub(crate) struct Manager {
    settings: Arc<Settings>,
    /// When a connection was last found dead.
    lost_at: Mutex<Option<Instant>>,
}

/// A connection with what is known of its health.
pub(crate) struct Pooled {
    pub(crate) connection: PgConnection,
    last_known_alive: Instant,
    /// Set by whoever met an error that may be the connection's.
    pub(crate) broken: bool,
}

impl Manager {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, lost_at: Mutex::new(None) }
    }

    /// Whether a connection was found dead since this one was known to be alive.
    fn suspects(&self, pooled: &Pooled) -> bool {
        let lost_at = *self.lost_at.lock().unwrap_or_else(PoisonError::into_inner);
        lost_at.is_some_and(|lost_at| pooled.last_known_alive < lost_at)
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = ConnectionError;

    fn connect(&self) -> Result<Pooled, ConnectionError> {
        Ok(Pooled { connection: open(&self.settings)?, last_known_alive: Instant::now(), broken: false })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), ConnectionError> {
        if pooled.last_known_alive.elapsed() < TRUSTED_FOR {
            return Ok(());
        }
        // Where the network swallows what is sent, each dead connection would take its time to be found.
        if self.suspects(pooled) {
            return Err(ConnectionError::BadConnection("others of its age are dead".to_owned()));
        }
        let asked_at = Instant::now();
        // `SELECT 1` would pass on a server that was demoted to a replica.
        ensure_writable(&mut pooled.connection).map_err(|reason| {
            *self.lost_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked_at);
            ConnectionError::BadConnection(reason)
        })?;
        pooled.last_known_alive = Instant::now();
        Ok(())
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.broken || std::thread::panicking() || r2d2::R2D2Connection::is_broken(&mut pooled.connection)
    }
}

/// Asks for messages in English, by which errors are told apart; a role that may not keeps the server's
/// language.
const ENGLISH_MESSAGES: &str = "DO $$ BEGIN PERFORM set_config('lc_messages', 'C', false); \
                                EXCEPTION WHEN insufficient_privilege THEN NULL; END $$";

/// A limit as Postgres takes it: from 1, because 0 would be none, to what its settings hold.
fn milliseconds(period: Period) -> u128 {
    period.as_duration().as_millis().clamp(1, i32::MAX.unsigned_abs().into())
}

/// Opens a connection with the limits of all.
pub(crate) fn open(settings: &Settings) -> Result<PgConnection, ConnectionError> {
    let statement_timeout_ms = milliseconds(settings.statement_timeout);
    let lock_timeout_ms = milliseconds(settings.lock_timeout);
    let mut url = settings.url.expose().to_owned();
    url.push(if url.contains('?') { '&' } else { '?' });
    url.push_str("connect_timeout=");
    // libpq takes whole seconds, and less than two as two.
    url.push_str(&settings.connect_timeout.as_duration().as_secs().max(2).to_string());
    // Kerberos costs each connection a look for tickets, and its library takes itself apart when the process
    // exits, underneath threads of the pool that still open a connection.
    if !url.contains("gssencmode=") {
        url.push_str("&gssencmode=disable");
    }
    // The first is for a peer that is gone while it works for us, the second for one that takes nothing.
    url.push_str("&keepalives_idle=5&keepalives_interval=2&keepalives_count=3&tcp_user_timeout=");
    url.push_str(&statement_timeout_ms.to_string());
    let mut connection = PgConnection::establish(&url)?;
    connection
        .batch_execute(&format!(
            "SET statement_timeout = {statement_timeout_ms}; SET lock_timeout = {lock_timeout_ms}; \
             SET idle_in_transaction_session_timeout = {statement_timeout_ms}; {ENGLISH_MESSAGES}"
        ))
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    ensure_writable(&mut connection).map_err(ConnectionError::BadConnection)?;
    Ok(connection)
}

diesel::define_sql_function! {
    /// Whether the server is a replica.
    fn pg_is_in_recovery() -> diesel::sql_types::Bool;
}

/// Fails with the reason why the server takes no writes.
pub(crate) fn ensure_writable(connection: &mut PgConnection) -> Result<(), String> {
    match diesel::select(pg_is_in_recovery()).get_result::<bool>(connection) {
        Ok(false) => Ok(()),
        Ok(true) => Err("the database is a read-only replica".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use diesel::r2d2::ManageConnection as _;
    use testkit::TestDatabase;

    use super::*;

    diesel::define_sql_function! {
        fn pg_terminate_backend(pid: diesel::sql_types::Integer) -> diesel::sql_types::Bool;
    }
    diesel::define_sql_function! {
        fn pg_backend_pid() -> diesel::sql_types::Integer;
    }

    fn make_old(pooled: &mut Pooled) {
        pooled.last_known_alive = Instant::now().checked_sub(2 * TRUSTED_FOR).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_dead_connection_makes_those_of_its_age_suspect_and_no_newer_ones() {
        let database = TestDatabase::create().await.unwrap();
        let settings = Settings { url: database.url().into(), ..Settings::default() };
        let manager = Manager::new(Arc::new(settings));
        let [mut dead, mut old, mut trusted] = [(); 3].map(|()| manager.connect().unwrap());
        make_old(&mut dead);
        make_old(&mut old);
        manager.is_valid(&mut old).unwrap();
        make_old(&mut old);
        let pid = diesel::select(pg_backend_pid()).get_result::<i32>(&mut dead.connection).unwrap();
        diesel::select(pg_terminate_backend(pid)).execute(&mut old.connection).unwrap();
        assert!(manager.is_valid(&mut dead).is_err());
        assert!(manager.is_valid(&mut old).is_err());
        manager.is_valid(&mut trusted).unwrap();
        let mut newer = manager.connect().unwrap();
        newer.last_known_alive += TRUSTED_FOR;
        manager.is_valid(&mut newer).unwrap();
        assert!(!manager.has_broken(&mut newer));
    }

    #[test]
    fn a_limit_is_never_none_and_never_more_than_postgres_takes() {
        assert_eq!(milliseconds(Period::from_secs(10)), 10_000);
        assert_eq!(milliseconds(Period::from_millis(0)), 1);
        assert_eq!(milliseconds(Period::from_secs(u64::MAX)), 2_147_483_647);
    }
}
