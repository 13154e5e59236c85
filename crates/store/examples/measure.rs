//! Measures the busy calls of the store against a database, without anything around them.
//!
//! `cargo run --release -p store --example measure -- URL create|deliver|status|list|outbox [CALLERS] [SECONDS]`
//!
//! `create` makes exports of one source for `user-1` to `user-50`; `deliver` begins an upload of such a one
//! and settles it, which ends it (making it is not counted). The others want what `create` has made: `status`
//! reads one export after the other, `list` the first 50 of a caller, `outbox` leases and finishes records
//! as long as there are any. The database must have the migrations.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people to look at")]

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use domain::{
    ApplicationName, Asking, Clock as _, CsvOptions, ExportDraft, ExportFormat, ExportName, ListQuery, Owner,
    Period, Record, ResourceName, SourceDraft, StoredData, SystemClock,
    ids::{AttemptId, EventId, ExportId, LeaseToken, ResourceId},
};
use store::{CreateExport, NewAttempt, OutboxKind, Settings, Store};

/// As long as real identities are, in base64.
const IDENTITY_BYTES: usize = 600;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |place: usize, default| arguments.get(place).map_or(default, |text| text.parse().unwrap());
    let (callers, seconds): (u32, u64) = (number(2, 16), u64::from(number(3, 10)));
    let settings = Settings {
        url: arguments[0].as_str().into(),
        pool_size: callers.min(32),
        pool_wait: Period::from_secs(10),
        ..Settings::default()
    };
    let store = Store::connect(settings);
    store.check().await.unwrap();
    let ids = Arc::new(some_ids(&store).await);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let running: Vec<_> = (0..callers)
        .map(|caller| {
            tokio::spawn(call(store.clone(), arguments[1].clone(), Arc::clone(&ids), caller, deadline))
        })
        .collect();
    let started = Instant::now();
    let mut times = Vec::new();
    for caller in running {
        times.extend(caller.await.unwrap());
    }
    report(&arguments[1], &mut times, started.elapsed());
}

fn report(what: &str, times: &mut [Duration], ran: Duration) {
    times.sort_unstable();
    let percentile = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let rate = times.len() as f64 / ran.as_secs_f64();
    println!("{what}: {rate:.1}/s, p50 {:.1?}, p99 {:.1?}", percentile(50), percentile(99));
}

/// Exports to read, each with its owner.
async fn some_ids(store: &Store) -> Vec<(Owner, ExportId)> {
    let mut ids = Vec::new();
    for user in 1..=50 {
        let query = ListQuery { limit: 100, ..ListQuery::default() };
        let page = store.list_exports(owner(user), query).await.unwrap();
        ids.extend(page.exports.into_iter().map(|export| (owner(user), export.id)));
    }
    ids
}

/// Does one thing again and again, and returns how long it took each time.
async fn call(
    store: Store,
    what: String,
    ids: Arc<Vec<(Owner, ExportId)>>,
    caller: u32,
    deadline: Instant,
) -> Vec<Duration> {
    let mut times = Vec::new();
    for round in (caller as usize).. {
        let mut started = Instant::now();
        if started >= deadline {
            break;
        }
        match what.as_str() {
            "create" => store.create_export(export(round).1).await.unwrap(),
            "deliver" => {
                let (draft, create) = export(round);
                store.create_export(create).await.unwrap();
                started = Instant::now();
                deliver(&store, &draft).await;
            }
            "status" => {
                let (owner, id) = ids[round * 37 % ids.len()].clone();
                store.find_export(owner, id, SystemClock.now()).await.unwrap().unwrap();
            }
            "list" => {
                let query = ListQuery { limit: 50, ..ListQuery::default() };
                let page = store.list_exports(owner(1 + round % 50), query).await.unwrap();
                assert_eq!(page.exports.len(), 50);
            }
            "outbox" => {
                let (token, now) = (LeaseToken::random(), SystemClock.now());
                let (kind, until) = (OutboxKind::Request, now + TimeDelta::minutes(15));
                let leased = store.lease_records(kind, token, now, until, 500).await.unwrap();
                let sent = leased.iter().map(|row| row.id).collect();
                store.finish_records(token, sent).await.unwrap();
                if leased.is_empty() {
                    break;
                }
            }
            other => panic!("{other} is nothing to measure"),
        }
        times.push(started.elapsed());
    }
    times
}

async fn deliver(store: &Store, draft: &ExportDraft) {
    let (id, now) = (AttemptId::random(), SystemClock.now());
    let (export_id, resource_id, object_key) = (draft.id, draft.sources[0].id, format!("{}/{id}", draft.id));
    let data = StoredData {
        object_key: object_key.clone(),
        size_bytes: 1,
        stored_bytes: 1,
        crc32: 1,
        sha256: [1; 32],
        changed_from: None,
    };
    let lease_expires_at = now + TimeDelta::minutes(1);
    store
        .begin_upload(NewAttempt { id, export_id, resource_id, object_key, lease_expires_at })
        .await
        .unwrap();
    store.answer_with_data(export_id, resource_id, id, data, now).await.unwrap();
}

fn owner(user: usize) -> Owner {
    Owner { account: "10001".to_owned(), org_id: "3340851".to_owned(), username: format!("user-{user}") }
}

fn export(round: usize) -> (ExportDraft, CreateExport) {
    let (now, id) = (SystemClock.now(), ExportId::random());
    let expires_at = now + TimeDelta::days(7);
    let draft = ExportDraft {
        id,
        name: ExportName::parse("Nightly export").unwrap(),
        format: ExportFormat::Json,
        created_at: now,
        expires_at,
        sources: vec![SourceDraft {
            id: ResourceId::random(),
            event_id: EventId::random(),
            application: ApplicationName::parse("inventory").unwrap(),
            resource: ResourceName::parse("packages").unwrap(),
            filters: None,
            csv: CsvOptions::default(),
            expires_at,
            answer_within: None,
            max_tries: None,
        }],
    };
    let identity = "x".repeat(IDENTITY_BYTES);
    let record = Record {
        topic: "platform.export.requests".to_owned(),
        key: id.to_string(),
        headers: vec![
            ("application".to_owned(), "inventory".to_owned()),
            ("x-rh-identity".to_owned(), identity.clone()),
        ],
        payload: vec![b'x'; 900 + IDENTITY_BYTES],
    };
    let asking = Asking { answer_within: Period::from_secs(24 * 3600), max_tries: 1 };
    let create = CreateExport::new(&draft, owner(1 + round % 50), identity, vec![record], asking);
    (draft, create)
}
