//! Whether everything that was promised was kept, and nothing is left over.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Read as _},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use blobs::Blobs;
use e2e::sha256_hex;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use testkit::poll_until;
use tokio_postgres::Client;

use crate::{
    callers::Asking,
    ledger::{Books, Ledger},
    rig::connect,
    topic::{Event, Events},
};

/// How long leases, graces and retries may take to run out after the load has ended.
pub(crate) const QUIET_WITHIN: Duration = Duration::from_mins(1);

/// Archives read at the same time.
const AT_ONCE: usize = 6;

/// Counts of what must be nothing once all is quiet. Who waits for something to go stands before it.
const LEFT_OVER: [(&str, &str); 5] = [
    ("records to send", "SELECT count(*) FROM outbox"),
    (
        "exports without an end",
        "SELECT count(*) FROM exports WHERE status NOT IN ('complete', 'partial', 'failed') AND deleted_at IS NULL \
         AND expires_at > now()",
    ),
    ("uploads under way", "SELECT count(*) FROM upload_attempts"),
    ("deleted exports", "SELECT count(*) FROM exports WHERE deleted_at IS NOT NULL"),
    ("objects to delete", "SELECT count(*) FROM object_deletions"),
];

/// Where an audit looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence<'a> {
    pub(crate) database_url: &'a str,
    pub(crate) events: &'a Events,
    pub(crate) blobs: &'a Blobs,
    pub(crate) ledger: &'a Ledger,
    /// How long it may take until all is quiet.
    pub(crate) quiet_within: Duration,
}

/// How the database says that a source was asked.
#[derive(Debug)]
struct Asked {
    export: String,
    last_event: String,
    /// At least so often, and exactly unless a customer wanted a retry.
    tries: usize,
    was_retried: bool,
}

/// What an audit that found nothing wrong has seen.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// Exports whose archive was read.
    pub(crate) archives: usize,
    /// Different events in the topic.
    pub(crate) events: usize,
    /// Further copies of them.
    pub(crate) copies: usize,
    /// Objects in the storage.
    pub(crate) objects: usize,
}

impl Audit {
    /// Waits until all is quiet, and looks at everything.
    ///
    /// # Panics
    /// When a promise was not kept, or something is left over.
    pub(crate) async fn of(evidence: Evidence<'_>, asking: &Asking) -> Self {
        match Self::try_of(evidence, asking).await {
            Ok(audit) => audit,
            Err(error) => panic!("the audit found: {error:#}"),
        }
    }

    /// The same, as a result.
    ///
    /// # Errors
    /// What was found.
    pub(crate) async fn try_of(evidence: Evidence<'_>, asking: &Asking) -> Result<Self> {
        let database = connect(evidence.database_url).await?;
        for (what, sql) in LEFT_OVER {
            wait_for_none_within(evidence.quiet_within, &database, sql)
                .await
                .with_context(|| what.to_owned())?;
        }
        let books = evidence.ledger.books();
        ensure!(books.broken.is_empty(), "answers that must not be: {:?}", books.broken);
        let mut audit = Self::default();
        audit.look_at_events(&database, &books, evidence).await?;
        audit.look_at_exports(&database, &books, asking).await?;
        audit.look_at_storage(&database, evidence).await?;
        Ok(audit)
    }

    /// Every source was asked for, in the order of the request, by as many events as it was asked times, of which
    /// the last is the one that the database knows.
    async fn look_at_events(
        &mut self,
        database: &Client,
        books: &Books,
        evidence: Evidence<'_>,
    ) -> Result<()> {
        let expected: BTreeMap<String, Asked> = database
            .query("SELECT id::text, export_id::text, event_id::text, tries FROM resources", &[])
            .await?
            .iter()
            .map(|row| {
                let source: String = row.get(0);
                let retries = books.retries.get(&source).copied();
                let (export, last_event, tries): (_, _, i32) = (row.get(1), row.get(2), row.get(3));
                let tries = tries.unsigned_abs() as usize + retries.unwrap_or(0);
                (source, Asked { export, last_event, tries, was_retried: retries.is_some() })
            })
            .collect();
        let mut first_copies: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let events = poll_until(evidence.quiet_within, async || {
            let events = evidence.events.after(0);
            let ids: BTreeSet<_> = events.iter().map(|event| (&event.source, &event.id)).collect();
            let times = |source: &String| ids.iter().filter(|(known, _)| *known == source).count();
            let missing: Vec<_> = expected
                .iter()
                .filter(|(source, asked)| times(source) < asked.tries)
                .map(|(source, _)| source)
                .collect();
            ensure!(missing.is_empty(), "never asked for: {missing:?}");
            Ok(Some(events))
        });
        for event in events.await? {
            let known = first_copies.entry(event.source.clone()).or_default();
            if let Some(first) = known.iter().find(|first| first.id == event.id) {
                ensure!(*first == event, "two different events have the id {}", event.id);
                self.copies += 1;
                continue;
            }
            if let Some(asked) = expected.get(&event.source) {
                ensure!(asked.export == event.export, "not the event of {}", event.source);
            } else {
                ensure!(books.deletions.contains(&event.export), "nobody asked for {}", event.export);
            }
            if known.is_empty() {
                order.entry(event.export.clone()).or_default().push(event.source.clone());
            }
            known.push(event);
            self.events += 1;
        }
        for (source, asked) in &expected {
            let events = first_copies.get(source).map_or(&[][..], Vec::as_slice);
            // What was asked before a retry is not counted any more.
            let known = events.len() == asked.tries || asked.was_retried;
            ensure!(known, "{source} was asked {} times and not as {asked:?}", events.len());
            ensure!(
                events.last().is_some_and(|last| last.id == asked.last_event),
                "not the event of {source}"
            );
        }
        for (export, sources) in &books.accepted {
            if !books.deletions.contains(export) {
                ensure!(order.get(export) == Some(sources), "the events of {export} are not in their order");
            }
        }
        Ok(())
    }

    /// Every accepted export has ended as its answers say, and its archive holds what was delivered.
    async fn look_at_exports(&mut self, database: &Client, books: &Books, asking: &Asking) -> Result<()> {
        let kept = books.accepted.keys().filter(|export| !books.deletions.contains(*export));
        let checks = stream::iter(kept).map(|export| async move {
            check_export(asking, database, books, export).await.with_context(|| export.clone())
        });
        let checked: Vec<bool> = checks.buffer_unordered(AT_ONCE).try_collect().await?;
        self.archives = checked.into_iter().filter(|has_archive| *has_archive).count();
        Ok(())
    }

    /// The objects are those that rows point at.
    async fn look_at_storage(&mut self, database: &Client, evidence: Evidence<'_>) -> Result<()> {
        let sql = "SELECT object_key FROM resources WHERE status = 'complete' AND object_released_at IS NULL \
                   UNION ALL SELECT object_key FROM resource_pieces";
        let rows: BTreeSet<String> = database.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect();
        // A deletion may have been under way when its row was.
        poll_until(evidence.quiet_within, async || {
            let objects = objects(evidence.blobs).await?;
            let lost: Vec<_> = rows.difference(&objects).collect();
            let orphans: Vec<_> = objects.difference(&rows).collect();
            ensure!(lost.is_empty() && orphans.is_empty(), "lost {lost:?}, without a row {orphans:?}");
            Ok(Some(()))
        })
        .await?;
        self.objects = rows.len();
        Ok(())
    }
}

/// The keys of all objects.
pub(crate) async fn objects(blobs: &Blobs) -> Result<BTreeSet<String>> {
    Ok(blobs.list().map_ok(|object| object.key.as_str().to_owned()).try_collect().await?)
}

/// What `sql` counts.
pub(crate) async fn count(database: &Client, sql: &str) -> Result<i64> {
    Ok(database.query_one(sql, &[]).await.with_context(|| sql.to_owned())?.get(0))
}

/// Waits until `sql` counts nothing.
pub(crate) async fn wait_for_none(database: &Client, sql: &str) -> Result<()> {
    wait_for_none_within(QUIET_WITHIN, database, sql).await
}

async fn wait_for_none_within(limit: Duration, database: &Client, sql: &str) -> Result<()> {
    poll_until(limit, async || {
        let left = count(database, sql).await?;
        ensure!(left == 0, "{left} left");
        Ok(Some(()))
    })
    .await
}

/// Looks at one export; true when it has an archive.
async fn check_export(asking: &Asking, database: &Client, books: &Books, export: &str) -> Result<bool> {
    let body = asking.status(export).await?;
    let sources = body["sources"].as_array().context("sources")?;
    ensure!(sources.len() == books.accepted[export].len(), "it has other sources: {body}");
    for source in sources {
        check_state(books, source)?;
    }
    if ["complete", "partial"].iter().any(|status| body["status"] == *status) {
        check_archive(asking, database, books, export).await?;
        return Ok(true);
    }
    ensure!(body["status"] == "failed", "it is {}", body["status"]);
    Ok(false)
}

fn check_state(books: &Books, source: &Value) -> Result<()> {
    let id = source["id"].as_str().context("an id")?;
    let expected = match (books.delivered.contains_key(id), books.failed.contains(id)) {
        (true, _) => "complete",
        (_, true) => "failed",
        // Its answer was lost on the way, or it was not answered at all.
        (false, false) => return Ok(()),
    };
    ensure!(source["status"] == expected, "{id} is {} and was answered for as {expected}", source["status"]);
    Ok(())
}

async fn check_archive(asking: &Asking, database: &Client, books: &Books, export: &str) -> Result<()> {
    let files = unpack(&asking.download(export).await?)?;
    let sql = "SELECT id::text, encode(sha256, 'hex') FROM resources WHERE export_id::text = $1 \
               AND status = 'complete' AND expires_at > now()";
    let complete: BTreeMap<String, String> =
        database.query(sql, &[&export]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (source, sha256) in &complete {
        let file = files.get(&format!("{source}.json")).with_context(|| format!("no file of {source}"))?;
        ensure!(sha256_hex(file) == *sha256, "the file of {source} has other bytes than were stored");
        let delivered = books.delivered.get(source);
        ensure!(delivered.is_none_or(|known| known == sha256), "{source} was delivered with other bytes");
    }
    let delivered = books.accepted[export].iter().filter(|source| books.delivered.contains_key(*source));
    for source in delivered {
        ensure!(
            files.contains_key(&format!("{source}.json")),
            "{source} was delivered and is not in the archive"
        );
    }
    Ok(())
}

/// The files of an archive by their names.
pub(crate) fn unpack(archive: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive))?;
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let name = file.name()?.into_owned();
            Ok((name, bytes))
        })
        .collect()
}
