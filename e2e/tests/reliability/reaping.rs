//! What is due ends and goes, and only that: expiry, deadlines, orphans both ways, the dry run.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use blobs::{NoJournal, ObjectKey, object_key};
use bytes::Bytes;
use chrono::TimeDelta;
use domain::{
    Clock as _, SystemClock,
    ids::{AttemptId, ExportId},
};
use e2e::PATIENCE;
use futures_util::stream;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::poll_until;

use crate::{
    audit::{count, objects, unpack, wait_for_none},
    callers::{Accepted, wanted},
    payload::payload,
    platform::Platform,
    program::{Program, Service},
    rig::Rig,
};

#[tokio::test]
async fn an_expired_export_is_not_served_and_its_bytes_and_then_its_row_go() {
    let times = "[expiry_reaper]\ngrace = \"500ms\"\nretention = \"2s\"\nsweep_every = \"1h\"";
    let platform = Platform::on(Rig::with(times).await).await;
    let export = expiring(&platform, TimeDelta::seconds(4)).await;
    platform.deliver_all(2).await;
    let archive = platform.asking.download(&export.id).await.unwrap();
    assert_eq!(unpack(&archive).unwrap().len(), 4);

    wait_for_status(&platform, &export.id, StatusCode::GONE).await;
    assert_eq!(platform.asking.status(&export.id).await.unwrap()["status"], "complete", "it is still listed");
    poll_until(PATIENCE, async || Ok(objects(&platform.rig.blobs).await?.is_empty().then_some(())))
        .await
        .unwrap();
    let late = platform.answering.upload(&export.id, &export.sources[0], b"late".to_vec()).await;
    assert_eq!(late.unwrap(), 404);

    let gone =
        poll_until(PATIENCE, async || Ok(platform.asking.status(&export.id).await.is_err().then_some(())));
    gone.await.unwrap();
    let database = platform.rig.database().await.unwrap();
    for table in ["exports", "resources", "manifests", "upload_attempts", "object_deletions", "outbox"] {
        assert_eq!(count(&database, &format!("SELECT count(*) FROM {table}")).await.unwrap(), 0, "{table}");
    }
    for done in ["expired", "purged"] {
        platform.reaper.wait_metric("reaper_exports_total", &format!("done=\"{done}\""), 1.0).await;
    }
}

#[tokio::test]
async fn an_expired_export_that_nobody_answered_is_asked_for_no_more() {
    let platform = Platform::start().await;
    let export = expiring(&platform, TimeDelta::seconds(2)).await;
    wait_for_status(&platform, &export.id, StatusCode::GONE).await;
    let late = platform.answering.upload(&export.id, &export.sources[0], b"late".to_vec()).await;
    assert_eq!(late.unwrap(), 404);
    let database = platform.rig.database().await.unwrap();
    wait_for_none(&database, "SELECT count(*) FROM exports WHERE released_at IS NULL").await.unwrap();
    assert!(objects(&platform.rig.blobs).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_source_that_expires_before_its_export_leaves_the_archive_and_the_storage() {
    let platform = Platform::start().await;
    let expires = (SystemClock.now() + TimeDelta::seconds(4)).to_rfc3339();
    let mut sources = wanted(2);
    sources[1]["expires"] = json!(expires);
    let body = json!({"name": "shrinking", "format": "json", "sources": sources});
    let export = platform.asking.create_as(body).await.unwrap();
    platform.deliver_all(2).await;
    let before = platform.asking.download(&export.id).await.unwrap();
    assert_eq!(unpack(&before).unwrap().len(), 4);
    let after = poll_until(PATIENCE, async || {
        let files = unpack(&platform.asking.download(&export.id).await?)?;
        Ok((files.len() == 3).then_some(files))
    });
    let after = after.await.unwrap();
    let meta: Value = serde_json::from_slice(&after["meta.json"]).unwrap();
    assert_eq!(meta["failed_files"][0]["filename"], format!("{}.json", export.sources[1]));
    poll_until(PATIENCE, async || Ok((objects(&platform.rig.blobs).await?.len() == 1).then_some(())))
        .await
        .unwrap();
    let status = platform.asking.status(&export.id).await.unwrap();
    assert_eq!(
        (&status["status"], &status["sources"][1]["status"]),
        (&json!("complete"), &json!("complete"))
    );
}

#[tokio::test]
async fn a_source_that_nobody_answers_fails_at_its_deadline_and_what_comes_later_is_refused() {
    let platform = Platform::on(Rig::with("[public_api]\nanswer_within = \"3s\"").await).await;
    let export = platform.asking.create(2).await.unwrap();
    let (answered, silent) = (&export.sources[0], &export.sources[1]);
    assert_eq!(platform.answering.upload(&export.id, answered, payload(answered, 900)).await.unwrap(), 202);
    let status = poll_until(PATIENCE, async || {
        let status = platform.asking.status(&export.id).await?;
        Ok((status["status"] == "partial").then_some(status))
    });
    let status = status.await.unwrap();
    assert_eq!(
        (&status["sources"][1]["status"], &status["sources"][1]["error"]),
        (&json!("failed"), &json!(504))
    );
    assert_eq!(platform.answering.upload(&export.id, silent, payload(silent, 900)).await.unwrap(), 410);
    assert_eq!(platform.answering.report(&export.id, silent).await.unwrap(), 410);
    assert_eq!(platform.audit().await.objects, 1);
}

#[tokio::test]
async fn an_object_without_a_row_is_deleted_and_what_is_not_ours_is_not() {
    let platform = Platform::start().await;
    let export = platform.asking.create(1).await.unwrap();
    platform.deliver_all(1).await;
    let orphan = object_key(ExportId::random(), AttemptId::random());
    let beside = object_key(export.id.parse().unwrap(), AttemptId::random());
    let foreign: ObjectKey = "notes/of-somebody-else".parse().unwrap();
    for key in [&orphan, &beside, &foreign] {
        store(&platform.rig, key).await;
    }
    let found = r#"finding="object_without_row""#;
    platform.reaper.wait_metric("reaper_sweep_findings_total", found, 2.0).await;
    poll_until(PATIENCE, async || Ok((objects(&platform.rig.blobs).await?.len() == 2).then_some(())))
        .await
        .unwrap();
    assert!(objects(&platform.rig.blobs).await.unwrap().contains(foreign.as_str()));
    platform.rig.blobs.delete(&foreign).await.unwrap();
    assert_eq!(platform.audit().await.archives, 1);
}

#[tokio::test]
async fn a_row_whose_object_is_lost_is_reported_and_the_archive_goes_on_without_it() {
    let platform = Platform::start().await;
    let (one, all) = (platform.asking.create(2).await.unwrap(), platform.asking.create(1).await.unwrap());
    platform.deliver_all(3).await;
    let etag = etag(&platform, &one.id).await;
    for source in [&one.sources[1], &all.sources[0]] {
        lose(&platform.rig, source).await;
    }
    let status = poll_until(PATIENCE, async || {
        let status = platform.asking.status(&one.id).await?;
        Ok((status["status"] == "partial").then_some(status))
    });
    assert_eq!(status.await.unwrap()["sources"][1]["error"], 500);
    assert_ne!(self::etag(&platform, &one.id).await, etag, "it is another archive");
    let files = unpack(&platform.asking.download(&one.id).await.unwrap()).unwrap();
    assert!(files.len() == 3 && files.contains_key(&format!("{}.json", one.sources[0])));
    wait_for_status(&platform, &all.id, StatusCode::BAD_REQUEST).await;
    assert_eq!(platform.asking.status(&all.id).await.unwrap()["status"], "failed");
    let found = r#"finding="row_without_object""#;
    platform.reaper.wait_metric("reaper_sweep_findings_total", found, 2.0).await;
    platform.rig.ledger.note(|books| {
        books.delivered.remove(&one.sources[1]);
        books.delivered.remove(&all.sources[0]);
    });
    assert_eq!(platform.audit().await.objects, 1);
}

#[tokio::test]
async fn a_reaper_that_looks_into_another_place_touches_nothing() {
    let mut platform = Platform::start().await;
    let orphan = object_key(ExportId::random(), AttemptId::random());
    for marked in [false, true] {
        platform.reaper.kill();
        platform.asking.create(2).await.unwrap();
        let delivered = if marked { 4 } else { 2 };
        platform.deliver_all(delivered).await;
        let wrong = [("EXPORTS__OBJECT_STORE__PREFIX", "elsewhere")];
        let mut lost = platform.rig.start_with(Service::ExpiryReaper, &wrong).await;
        let refused = "none of the";
        poll_until(PATIENCE, async || Ok(lost.process().log()?.contains(refused).then_some(())))
            .await
            .unwrap();
        lost.kill();
        platform.reaper = platform.rig.start(Service::ExpiryReaper).await;
        // The right one marks the place and goes on with its work.
        store(&platform.rig, &orphan).await;
        poll_until(PATIENCE, async || {
            Ok((!objects(&platform.rig.blobs).await?.contains(orphan.as_str())).then_some(()))
        })
        .await
        .unwrap();
        assert_eq!(platform.audit().await.objects, delivered);
    }
}

#[tokio::test]
async fn a_dry_run_tells_what_is_due_and_changes_nothing() {
    let mut platform = Platform::start().await;
    platform.reaper.kill();
    let create = async || platform.asking.create(1).await.unwrap();
    let (expired, deleted, lost) = (create().await, create().await, create().await);
    platform.deliver_all(3).await;
    assert_eq!(platform.asking.delete(&deleted.id).await.unwrap(), 202);
    store(&platform.rig, &object_key(ExportId::random(), AttemptId::random())).await;
    let database = platform.rig.database().await.unwrap();
    let id = &expired.id;
    let expire = "UPDATE exports SET expires_at = now() - interval '1 hour' WHERE id::text = $1";
    assert_eq!(database.execute(expire, &[id]).await.unwrap(), 1);
    lose(&platform.rig, &lost.sources[0]).await;
    let abandoned = "INSERT INTO upload_attempts (id, export_id, resource_id, object_key, lease_expires_at) \
                     VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'x', now() - interval '1 day')";
    database.batch_execute(abandoned).await.unwrap();

    // Else it is the dispatcher that changes something.
    crate::audit::wait_for_none(&database, "SELECT count(*) FROM outbox").await.unwrap();
    let before = everything(&platform.rig).await.unwrap();
    let dry = [("EXPORTS__EXPIRY_REAPER__DRY_RUN", "true"), ("EXPORTS__EXPIRY_REAPER__GRACE", "0s")];
    let reaper = platform.rig.start_with(Service::ExpiryReaper, &dry).await;
    for finding in ["object_without_row", "row_without_object"] {
        let label = format!("finding=\"{finding}\"");
        reaper.wait_metric("reaper_sweep_findings_total", &label, 1.0).await;
    }
    for worker in ["dry-run", "sweep"] {
        reaper.wait_metric("worker_steps_total", &format!("worker=\"{worker}\""), 3.0).await;
    }
    let after = everything(&platform.rig).await.unwrap();
    for (table, rows) in before {
        assert_eq!(after[&table], rows, "{table}");
    }
    let plan = plan(&reaper);
    for (what, due) in [("deleted", 1), ("expired", 1), ("uploads", 1)] {
        assert_eq!(plan[what], due, "{what}: {plan}");
    }
}

/// The line in which a dry run tells what is due.
fn plan(reaper: &Program) -> Value {
    let log = reaper.process().log().unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut plans = lines.filter(|line| line["message"] == "dry run: this much is due");
    plans.next().expect("it tells")
}

/// Every row and every object.
async fn everything(rig: &Rig) -> Result<BTreeMap<String, String>> {
    let database = rig.database().await?;
    let tables =
        database.query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'", &[]).await?;
    ensure!(tables.len() > 8, "all tables are there");
    let mut all = BTreeMap::new();
    for table in tables.iter().map(|row| row.get::<_, String>(0)) {
        let rows = format!("SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM {table} t");
        all.insert(table, database.query_one(&rows, &[]).await?.get(0));
    }
    all.insert("objects".to_owned(), format!("{:?}", objects(&rig.blobs).await?));
    Ok(all)
}

/// An export of two sources that expires soon.
async fn expiring(platform: &Platform, within: TimeDelta) -> Accepted {
    let expires_at = (SystemClock.now() + within).to_rfc3339();
    let body = json!({"name": "passing", "format": "json", "expires_at": expires_at, "sources": wanted(2)});
    platform.asking.create_as(body).await.unwrap()
}

/// Waits until a download is answered so.
async fn wait_for_status(platform: &Platform, export: &str, expected: StatusCode) {
    let waited = poll_until(PATIENCE, async || {
        let request = platform.asking.request(Method::HEAD, &format!("/{export}"));
        Ok((platform.asking.send(request).await?.status() == expected).then_some(()))
    });
    waited.await.unwrap();
}

async fn etag(platform: &Platform, export: &str) -> String {
    let request = platform.asking.request(Method::HEAD, &format!("/{export}"));
    let answer = platform.asking.send(request).await.unwrap();
    answer.headers()["etag"].to_str().unwrap().to_owned()
}

/// Stores an object of which no row knows.
async fn store(rig: &Rig, key: &ObjectKey) {
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"orphaned"))]);
    rig.blobs.put_gzip(key, body, 100, &NoJournal).await.unwrap();
}

/// Deletes the object of a source behind the platform's back.
async fn lose(rig: &Rig, source: &str) {
    let database = rig.database().await.unwrap();
    let row = database.query_one("SELECT object_key FROM resources WHERE id::text = $1", &[&source]).await;
    let key: String = row.unwrap().get(0);
    rig.blobs.delete(&key.parse().unwrap()).await.unwrap();
    let gone = poll_until(Duration::from_secs(5), async || {
        Ok((!objects(&rig.blobs).await?.contains(&key)).then_some(()))
    });
    gone.await.unwrap();
}
