//! A `PostgreSQL` database that only one test uses.

use std::future::Future;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use devservers::TestServers;
use tokio_postgres::{Client, Config, NoTls};

use crate::{poll_until, unique_name};

/// A database of a test's own on the shared server, dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    server_url: String,
    name: String,
}

impl TestDatabase {
    /// Makes an empty database.
    ///
    /// # Errors
    /// When the test servers do not run.
    pub async fn create() -> Result<Self> {
        Self::copy_of("template1", &TestServers::find()?.postgres_url).await
    }

    /// Makes a database that starts as a copy of what `prepare` makes of an empty one (its argument is
    /// the URL). `prepare` runs once for each `key` (letters, digits and `_`), for all test programs
    /// together: put a hash of the migrations into it. Connections it leaves open are closed.
    ///
    /// # Errors
    /// When the test servers do not run, or the error of `prepare`.
    pub async fn from_template<F>(key: &str, prepare: impl FnOnce(String) -> F) -> Result<Self>
    where
        F: Future<Output = Result<()>>,
    {
        let url = TestServers::find()?.postgres_url;
        let template = format!("template_{key}");
        ensure!(
            template.len() < 64 && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{key:?} cannot be part of a database name"
        );
        prepare_template(&url, &template, prepare).await?;
        Self::copy_of(&template, &url).await
    }

    async fn copy_of(template: &str, server_url: &str) -> Result<Self> {
        let name = unique_name("test").replace('-', "_");
        let admin = connect(server_url).await?;
        execute(&admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
        Ok(Self { server_url: server_url.to_owned(), name })
    }

    /// The URL of the database, with the superuser's password in it.
    pub fn url(&self) -> String {
        url_of(&self.server_url, &self.name)
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection for looking at and changing rows from a test.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(&self) -> Result<Client> {
        connect(&self.url()).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let url = self.server_url.clone();
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A runtime of its own: the test's may be the one that just ends. What cannot be dropped goes
        // with the servers.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { execute(&connect(&url).await?, &sql).await })
        });
        if !matches!(dropping.join(), Ok(Ok(()))) {
            eprintln!("test database {} could not be dropped", self.name);
        }
    }
}

async fn prepare_template<F>(
    server_url: &str,
    template: &str,
    prepare: impl FnOnce(String) -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let admin = connect(server_url).await?;
    let exists = async || -> Result<bool> {
        let rows = admin.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&template]).await?;
        Ok(!rows.is_empty())
    };
    if exists().await? {
        return Ok(());
    }
    // Other test programs wait here; released with this connection at the latest.
    admin.query("SELECT pg_advisory_lock(hashtext($1))", &[&template]).await?;
    if !exists().await? {
        let draft = unique_name("draft").replace('-', "_");
        execute(&admin, &format!("CREATE DATABASE {draft}")).await?;
        prepare(url_of(server_url, &draft)).await?;
        close_connections(&admin, &draft).await?;
        // Renamed when whole: a template that exists is a finished one.
        execute(&admin, &format!("ALTER DATABASE {draft} RENAME TO {template}")).await?;
    }
    Ok(())
}

/// A database with connections can be neither renamed nor copied.
async fn close_connections(admin: &Client, database: &str) -> Result<()> {
    poll_until(Duration::from_secs(10), async || {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        Ok(admin.query(sql, &[&database]).await?.is_empty().then_some(()))
    })
    .await
}

fn url_of(server_url: &str, database: &str) -> String {
    match server_url.rsplit_once('/') {
        Some((server, _)) => format!("{server}/{database}"),
        None => format!("{server_url}/{database}"),
    }
}

async fn connect(url: &str) -> Result<Client> {
    let mut config = Config::from_str(url).context("the URL of the test database")?;
    config.connect_timeout(Duration::from_secs(10)).application_name("testkit");
    let (client, connection) = config.connect(NoTls).await.context("connecting to the test database")?;
    // Ends with the client; an error in between shows in the client's next query.
    tokio::spawn(connection);
    Ok(client)
}

async fn execute(client: &Client, sql: &str) -> Result<()> {
    client.batch_execute(sql).await.with_context(|| sql.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_database_is_empty_and_gone_when_dropped() {
        let database = TestDatabase::create().await.unwrap();
        let client = database.connect().await.unwrap();
        client.batch_execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)").await.unwrap();
        let (url, other) = (database.url(), TestDatabase::create().await.unwrap());
        assert!(other.connect().await.unwrap().query("SELECT n FROM t", &[]).await.is_err());
        drop(database);
        assert!(connect(&url).await.is_err());
    }

    #[tokio::test]
    async fn a_template_is_prepared_once_and_copied_each_time() {
        let key = unique_name("k").replace('-', "_");
        let runs = AtomicU32::new(0);
        let prepare = async |url: String| {
            runs.fetch_add(1, Ordering::Relaxed);
            let client = connect(&url).await?;
            execute(&client, "CREATE TABLE made (n int)").await?;
            // Left open on purpose.
            std::mem::forget(client);
            Ok(())
        };
        let (first, second) = tokio::join!(
            TestDatabase::from_template(&key, prepare),
            TestDatabase::from_template(&key, prepare)
        );
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        for database in [first.unwrap(), second.unwrap()] {
            database.connect().await.unwrap().query("SELECT n FROM made", &[]).await.unwrap();
        }
    }
}
