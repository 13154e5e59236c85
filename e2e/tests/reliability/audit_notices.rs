//! An audit that finds nothing means something only if it finds what is there.

use std::time::Duration;

use bytes::Bytes;
use domain::ids::{AttemptId, ExportId};
use futures_util::stream;

use crate::{
    audit::{Audit, Evidence},
    platform::Platform,
};

/// A damage, what repairs it (nothing: the sources as they were), and what the audit says meanwhile.
const DAMAGES: [(&str, &str, &str); 7] = [
    (
        "INSERT INTO outbox (export_id, topic, record_key, headers, payload, created_at) \
         VALUES (gen_random_uuid(), 't', 'k', '[]', '', now())",
        "DELETE FROM outbox",
        "records to send",
    ),
    (
        "INSERT INTO upload_attempts (id, export_id, resource_id, object_key, lease_expires_at) \
         VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'x', now())",
        "DELETE FROM upload_attempts",
        "uploads under way",
    ),
    (
        "UPDATE exports SET status = 'running', completed_at = NULL",
        "UPDATE exports SET status = 'complete', completed_at = now()",
        "exports without an end",
    ),
    (
        "UPDATE resources SET event_id = gen_random_uuid(), settled_at = requested_at WHERE position = 0",
        "",
        "not the event of",
    ),
    (
        "INSERT INTO resources SELECT export_id, gen_random_uuid(), 2, application, resource, filters, expires_at, \
         event_id, requested_at, deadline_at FROM resources WHERE position = 1",
        "DELETE FROM resources WHERE position = 2",
        "never asked for",
    ),
    ("UPDATE resources SET sha256 = sha256('x') WHERE position = 0", "", "other bytes"),
    (
        "UPDATE resources SET status = 'failed', error_code = 1, error_message = 'x', object_key = NULL, \
         size_bytes = NULL, stored_bytes = NULL, crc32 = NULL, sha256 = NULL WHERE position = 1",
        "",
        "was answered for as complete",
    ),
];

#[tokio::test]
async fn an_audit_notices_whatever_is_wrong() {
    let mut platform = Platform::start().await;
    let export = platform.asking.create(2).await.unwrap();
    platform.deliver_all(2).await;
    platform.audit().await;
    // Nobody mends what is damaged here.
    platform.reaper.kill();
    platform.dispatcher.kill();
    let database = platform.rig.database().await.unwrap();
    for (damage, repair, expected) in DAMAGES {
        let before = "CREATE TABLE kept AS SELECT * FROM resources";
        database.batch_execute(before).await.unwrap();
        database.batch_execute(damage).await.unwrap();
        expect_finding(&platform, expected).await;
        if repair.is_empty() {
            let restore = "DELETE FROM resources; INSERT INTO resources SELECT * FROM kept";
            database.batch_execute(restore).await.unwrap();
        }
        database.batch_execute(&format!("{repair}; DROP TABLE kept")).await.unwrap();
    }

    database.batch_execute("DELETE FROM exports").await.unwrap();
    expect_finding(&platform, "nobody asked for").await;
    let orphan = blobs::object_key(ExportId::random(), AttemptId::random());
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"orphaned"))]);
    platform.rig.blobs.put_gzip(&orphan, body, 100, &blobs::NoJournal).await.unwrap();
    platform.rig.ledger.note(|books| books.accepted.remove(&export.id));
    platform.rig.ledger.note(|books| books.deletions.insert(export.id.clone()));
    expect_finding(&platform, "without a row").await;
}

async fn expect_finding(platform: &Platform, expected: &str) {
    let evidence = Evidence { quiet_within: Duration::from_millis(300), ..platform.rig.evidence() };
    let found = Audit::try_of(evidence, &platform.asking).await.expect_err(expected);
    let found = format!("{found:#}");
    assert!(found.contains(expected), "{found:?} instead of {expected:?}");
}
