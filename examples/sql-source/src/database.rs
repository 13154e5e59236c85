//! The database: a query in a read-only transaction, its rows as a stream.

use std::{str::FromStr, time::Duration};

use anyhow::{Context as _, Result};
use bytes::{BufMut as _, Bytes, BytesMut};
use export_source::{Format, Refusal};
use futures_util::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{
    CancelToken, Client, Config, Error, NoTls, binary_copy::BinaryCopyOutStream, error::SqlState, types::Type,
};

use crate::resources::{Bound, Resource};

/// Size of a chunk, and a little more. The server sends row by row.
const CHUNK_BYTES: usize = 64 * 1024;

/// Rows that come slowly do not wait for a full chunk.
const LONGEST_HELD: Duration = Duration::from_secs(1);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Puts values where the query reads them; both by parameters.
const BIND: &str =
    "SELECT set_config(name, value, true) FROM unnest($1::text[], $2::text[]) AS bound(name, value)";

/// Where data is. Connections are made when they are needed: one for each answer.
#[derive(Debug, Clone)]
pub struct Database {
    config: Config,
    statement_timeout: Duration,
}

impl Database {
    /// A database by its URL. A statement may run for `statement_timeout`, which includes the time that the
    /// platform needs to take its rows.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(url: &str, statement_timeout: Duration) -> Result<Self> {
        // Without the cause: it may quote the URL, which holds a password.
        let mut config = Config::from_str(url).ok().context("the URL of the database cannot be read")?;
        config.application_name("sql-source").connect_timeout(CONNECT_TIMEOUT);
        Ok(Self { config, statement_timeout })
    }

    /// Looks whether the database takes the query of `resource`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn check(&self, resource: &Resource) -> Result<(), Error> {
        let session = Session::open(&self.config).await?;
        session.client.prepare(&format!("SELECT * FROM (\n{}\n) AS rows", resource.query)).await?;
        Ok(())
    }

    /// The rows of `resource` under `bound`, as a file. Nothing was asked of the database when this returns an
    /// error; what the stream ends with is an error of the query as it ran.
    ///
    /// # Errors
    /// A temporary refusal when the database is away, another when it does not take the query. What the database
    /// said is for the log only.
    pub async fn rows(
        &self,
        resource: &Resource,
        bound: &Bound,
        format: Format,
    ) -> Result<impl Stream<Item = Result<Bytes, Refusal>> + Send + use<>, Refusal> {
        let session = Session::open(&self.config).await.map_err(refusal)?;
        session.begin(bound, self.statement_timeout).await.map_err(refusal)?;
        let copy = match format {
            Format::Csv => format!("COPY (\n{}\n) TO STDOUT (FORMAT csv, HEADER)", resource.query),
            // In the binary format a text is as it is; in the others it would have to be unescaped.
            Format::Json => format!(
                "COPY (SELECT row_to_json(rows)::text FROM (\n{}\n) AS rows) TO STDOUT (FORMAT binary)",
                resource.query
            ),
        };
        let copied = session.client.copy_out(&copy).await.map_err(refusal)?;
        let pieces = match format {
            Format::Csv => copied.boxed(),
            Format::Json => json(BinaryCopyOutStream::new(copied, &[Type::TEXT])).boxed(),
        };
        Ok(chunks(session, pieces).map_err(refusal))
    }
}

/// A JSON array, from rows of one text each that is an object.
fn json(rows: BinaryCopyOutStream) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    let mut any = false;
    let objects = rows.map(move |row| {
        let row = row?;
        let object: &str = row.try_get(0)?;
        let mut piece = BytesMut::with_capacity(object.len() + 2);
        piece.put_slice(if any { b",\n" } else { b"[\n" });
        any = true;
        piece.put_slice(object.as_bytes());
        Ok((piece.freeze(), true))
    });
    let end = stream::once(async { Ok((Bytes::new(), false)) });
    let mut begun = false;
    objects.chain(end).map_ok(move |(piece, is_row)| {
        if is_row {
            begun = true;
            return piece;
        }
        Bytes::from_static(if begun { b"\n]\n" } else { b"[]\n" })
    })
}

/// Pieces put together. Holds on to the session, and ends it as soon as nobody reads on.
fn chunks(
    session: Session,
    pieces: stream::BoxStream<'static, Result<Bytes, Error>>,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    stream::try_unfold((session, pieces, false), |(mut session, mut pieces, ended)| async move {
        if ended {
            return Ok(None);
        }
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        while chunk.len() < CHUNK_BYTES {
            let next = match pieces.next().now_or_never() {
                Some(next) => next,
                None if chunk.is_empty() => pieces.next().await,
                None => match timeout(LONGEST_HELD, pieces.next()).await {
                    Ok(next) => next,
                    Err(_) => break,
                },
            };
            let Some(piece) = next else {
                session.done = true;
                return Ok(Some((chunk.freeze(), (session, pieces, true))));
            };
            chunk.extend_from_slice(&piece?);
        }
        Ok(Some((chunk.freeze(), (session, pieces, false))))
    })
}

/// A connection of its own. A query that still runs when this is dropped is cancelled.
struct Session {
    client: Client,
    connection: JoinHandle<()>,
    cancel: CancelToken,
    done: bool,
}

impl Session {
    async fn open(config: &Config) -> Result<Self, Error> {
        let (client, connection) = config.connect(NoTls).await?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        let cancel = client.cancel_token();
        Ok(Self { client, connection, cancel, done: false })
    }

    /// Begins a transaction that can only read, with what the query is to know.
    async fn begin(&self, bound: &Bound, statement_timeout: Duration) -> Result<(), Error> {
        self.client.batch_execute("BEGIN READ ONLY").await?;
        let timeout_ms = statement_timeout.as_millis().to_string();
        let (mut names, mut values) = (bound.names.clone(), bound.values.clone());
        for (name, value) in [
            ("statement_timeout", timeout_ms.as_str()),
            // What is written does not depend on how the database happens to be set.
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO, YMD"),
            ("IntervalStyle", "iso_8601"),
        ] {
            names.push(name.to_owned());
            values.push(value.to_owned());
        }
        self.client.query(BIND, &[&names, &values]).await?;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.done {
            // The server notices a closed connection only once it writes; a query may run long before it does.
            let cancel = self.cancel.clone();
            tokio::spawn(async move { cancel.cancel_query(NoTls).await });
        }
        // Otherwise it would read the rest of the rows, for nobody.
        self.connection.abort();
    }
}

/// What the customer reads of an error; the log has it all.
fn refusal(error: Error) -> Refusal {
    let Some(code) = error.code().cloned() else {
        return Refusal::later("the database is away").because(error);
    };
    if code == SqlState::QUERY_CANCELED {
        return Refusal::new(504, "reading the data took too long").because(error);
    }
    // Connections, conflicts, lack of resources, a server that stops or starts: they pass.
    let passes = ["08", "40", "53", "57"].iter().any(|class| code.code().starts_with(class));
    if passes { Refusal::later("the database is away").because(error) } else { Refusal::internal(error) }
}
