//! What the tests share: a migrated database, a clock that stands still, and exports to put into it.

use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, connection::SimpleConnection as _,
    sql_types,
};
use domain::{
    ApplicationName, Asking, Clock as _, CsvOptions, ExportDraft, ExportFormat, ExportName, ManualClock,
    Owner, Period, Record, ResourceName, Secret, SourceDraft, StoredData,
    ids::{AttemptId, EventId, ExportId, ResourceId},
};
use store::{AnswerOutcome, CreateExport, LeasedRecord, NewAttempt, OutboxMessage, Settings, Store};

use testkit::{TestDatabase, poll_until};

/// How long a test waits for what must happen, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What the copies below are made from.
const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");

/// A store on a database of its own.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) database: TestDatabase,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A fixture whose settings differ from those of [`settings`].
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let database = migrated_database().await;
        let mut settings = settings(&database.url());
        change(&mut settings);
        let store = Store::connect(settings);
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap());
        Self { store, clock, database }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A connection of the test itself, past the store.
    pub(crate) fn connection(&self) -> PgConnection {
        PgConnection::establish(&self.database.url()).unwrap()
    }

    /// The number that `sql` selects as `n`.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        number(&mut self.connection(), sql)
    }

    /// The texts that `sql` selects as `t`, in its order.
    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        texts(&mut self.connection(), sql)
    }

    /// A draft of now, with so many sources.
    pub(crate) fn draft(&self, name: &str, sources: usize) -> ExportDraft {
        draft(name, sources, self.now())
    }

    /// Creates an export of `owner` and returns it.
    pub(crate) async fn create(&self, owner: &Owner, sources: usize) -> ExportDraft {
        let draft = self.draft("Nightly", sources);
        self.create_from(owner, &draft).await;
        draft
    }

    pub(crate) async fn create_from(&self, owner: &Owner, draft: &ExportDraft) {
        self.store.create_export(rows_of(draft, owner)).await.unwrap();
    }

    /// Begins an upload for a source, with a lease of a minute.
    pub(crate) async fn begin(&self, export_id: ExportId, resource_id: ResourceId) -> NewAttempt {
        let id = AttemptId::random();
        let attempt = NewAttempt {
            id,
            export_id,
            resource_id,
            object_key: format!("{export_id}/{id}"),
            lease_expires_at: self.now() + TimeDelta::minutes(1),
        };
        self.store.begin_upload(attempt.clone()).await.unwrap();
        attempt
    }

    /// Uploads data and settles with it; `fill` stands for its content.
    pub(crate) async fn deliver(
        &self,
        export_id: ExportId,
        resource_id: ResourceId,
        fill: u8,
    ) -> AnswerOutcome {
        let attempt = self.begin(export_id, resource_id).await;
        self.settle(&attempt, fill).await
    }

    pub(crate) async fn settle(&self, attempt: &NewAttempt, fill: u8) -> AnswerOutcome {
        let data = stored(&attempt.object_key, fill);
        let (export_id, resource_id) = (attempt.export_id, attempt.resource_id);
        self.store.answer_with_data(export_id, resource_id, attempt.id, data, self.now()).await.unwrap()
    }

    /// Gives an export a value that this version does not know, as a later one may have written.
    pub(crate) fn spoil(&self, draft: &ExportDraft) {
        let sql = "ALTER TABLE exports DROP CONSTRAINT IF EXISTS exports_format_check; \
                   UPDATE exports SET format = 'parquet' WHERE id =";
        self.connection().batch_execute(&format!("{sql} '{}'", draft.id)).unwrap();
    }

    /// The keys that wait for deletion, sorted.
    pub(crate) fn queued_keys(&self) -> Vec<String> {
        self.texts("SELECT object_key AS t FROM object_deletions ORDER BY 1")
    }

    /// What a customer is told to have come for the first source of an export.
    pub(crate) async fn received_bytes(&self, draft: &ExportDraft) -> Option<u64> {
        let found = self.store.find_export(owner("jdoe"), draft.id, self.now()).await.unwrap().unwrap();
        found.received_bytes.get(&draft.sources[0].id).copied()
    }

    pub(crate) fn attempts(&self) -> i64 {
        self.number("SELECT count(*) AS n FROM upload_attempts")
    }
}

/// Holds the row of an export until it is dropped.
pub(crate) struct Held {
    pub(crate) holder: PgConnection,
    /// Outside that transaction, which would see the same activity for ever.
    pub(crate) observer: PgConnection,
}

impl Held {
    pub(crate) fn row_of(fixture: &Fixture, draft: &ExportDraft) -> Self {
        let mut holder = fixture.connection();
        let lock = format!("BEGIN; SELECT FROM exports WHERE id = '{}' FOR UPDATE", draft.id);
        holder.batch_execute(&lock).unwrap();
        Self { holder, observer: fixture.connection() }
    }

    /// Waits until so many sessions wait for the row.
    pub(crate) async fn awaited_by(&mut self, sessions: i64) {
        let sql = "SELECT count(*) AS n FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let reached = async || Ok((number(&mut self.observer, sql) == sessions).then_some(()));
        poll_until(PATIENCE, reached).await.unwrap();
    }
}

/// The folders of all migrations, the first one first.
pub(crate) fn migration_folders() -> BTreeSet<PathBuf> {
    fs::read_dir(MIGRATIONS).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A database with all migrations. They run once, and are copied for each test.
pub(crate) async fn migrated_database() -> TestDatabase {
    let mut hasher = DefaultHasher::new();
    for folder in migration_folders() {
        fs::read(folder.join("up.sql")).unwrap().hash(&mut hasher);
    }
    let key = format!("store_{:016x}", hasher.finish());
    let migrated = TestDatabase::from_template(&key, async |url| {
        Store::connect(settings(&url)).migrate().await?;
        Ok(())
    });
    migrated.await.unwrap()
}

/// The settings of tests: as by default, with fewer connections, because many tests run at once.
pub(crate) fn settings(url: &str) -> Settings {
    Settings {
        url: Secret::from(url),
        pool_size: 8,
        // The machine may be busy; tests that look at the wait itself set their own.
        pool_wait: Period::from_secs(30),
        ..Settings::default()
    }
}

pub(crate) fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = sql_types::BigInt)]
        n: i64,
    }
    diesel::sql_query(sql).get_result::<Number>(connection).unwrap().n
}

pub(crate) fn texts(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Text {
        #[diesel(sql_type = sql_types::Text)]
        t: String,
    }
    let rows: Vec<Text> = diesel::sql_query(sql).load(connection).unwrap();
    rows.into_iter().map(|row| row.t).collect()
}

pub(crate) fn owner(username: &str) -> Owner {
    Owner { account: "10001".to_owned(), org_id: "3340851".to_owned(), username: username.to_owned() }
}

/// A draft accepted at `now` that lives a week, with sources `resource-0`, `resource-1` and so on.
pub(crate) fn draft(name: &str, sources: usize, now: DateTime<Utc>) -> ExportDraft {
    let expires_at = now + TimeDelta::days(7);
    let source = |place| SourceDraft {
        id: ResourceId::random(),
        event_id: EventId::random(),
        application: ApplicationName::parse("application").unwrap(),
        resource: ResourceName::parse(&format!("resource-{place}")).unwrap(),
        filters: None,
        csv: CsvOptions::default(),
        expires_at,
        answer_within: None,
        max_tries: None,
    };
    ExportDraft {
        id: ExportId::random(),
        name: ExportName::parse(name).unwrap(),
        format: ExportFormat::Json,
        created_at: now,
        expires_at,
        sources: (0..sources).map(source).collect(),
    }
}

/// The event id stands for the whole event.
pub(crate) fn records_of(draft: &ExportDraft) -> Vec<Record> {
    let record = |source: &SourceDraft| Record {
        topic: "requests".to_owned(),
        key: draft.id.to_string(),
        headers: vec![("application".to_owned(), source.application.as_str().to_owned())],
        payload: source.event_id.to_string().into_bytes(),
    };
    draft.sources.iter().map(record).collect()
}

/// The record of a request that was leased.
pub(crate) fn request(row: &LeasedRecord) -> &Record {
    match &row.message {
        OutboxMessage::Request(record) => record,
        other => panic!("not a request: {other:?}"),
    }
}

/// How sources are asked that do not say it: once, with a day to answer.
pub(crate) const ONE_TRY: Asking = Asking { answer_within: Period::from_secs(24 * 3600), max_tries: 1 };

/// How long after its deadline a source is left to an upload.
pub(crate) const OVERTIME: TimeDelta = TimeDelta::hours(6);

/// What creates `draft`.
pub(crate) fn rows_of(draft: &ExportDraft, owner: &Owner) -> CreateExport {
    CreateExport::new(draft, owner.clone(), "identity".to_owned(), records_of(draft), ONE_TRY)
}

pub(crate) fn stored(object_key: &str, fill: u8) -> StoredData {
    StoredData {
        object_key: object_key.to_owned(),
        size_bytes: 100,
        stored_bytes: 50,
        crc32: u32::from(fill),
        sha256: [fill; 32],
        changed_from: None,
    }
}
