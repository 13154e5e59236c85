//! Each service dies between a commit and its effect, at every such step, and is started again.

use std::time::Duration;

use testkit::poll_until;

use crate::{
    audit::{count, wait_for_none},
    callers::Accepted,
    payload::{IN_PARTS, payload},
    platform::Platform,
    program::Service::{self, Dispatcher, ExpiryReaper, InternalApi, PublicApi},
};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_export_whose_public_api_dies_before_it_answers_is_asked_for_and_ends() {
    let mut platform = Platform::failing_at(PublicApi, "public-api::created").await;
    assert!(platform.asking.create(2).await.is_err(), "nobody answers");
    platform.crash_and_restart(PublicApi).await;
    let export = platform.asking.list().await.unwrap().remove(0);
    platform.deliver_all(2).await;
    assert_eq!(platform.asking.status(&export).await.unwrap()["status"], "complete");
    let audit = platform.audit().await;
    assert_eq!((audit.events, audit.objects), (2, 2));
}

#[tokio::test]
async fn an_export_whose_public_api_dies_while_it_deletes_it_is_gone() {
    let mut platform = Platform::failing_at(PublicApi, "public-api::deleted").await;
    let export = platform.asking.create(1).await.unwrap();
    platform.deliver_all(1).await;
    assert!(platform.asking.delete(&export.id).await.is_err(), "nobody answers");
    platform.crash_and_restart(PublicApi).await;
    assert_eq!(platform.asking.delete(&export.id).await.unwrap(), 404);
    assert_eq!(platform.audit().await.objects, 0);
}

#[tokio::test]
async fn records_leased_by_a_dispatcher_that_dies_are_sent_by_the_next() {
    let mut platform = Platform::failing_at(Dispatcher, "dispatcher::leased").await;
    platform.asking.create(3).await.unwrap();
    platform.crash_and_restart(Dispatcher).await;
    platform.deliver_all(3).await;
    let audit = platform.audit().await;
    assert_eq!((audit.events, audit.copies), (3, 0));
}

#[tokio::test]
async fn records_sent_by_a_dispatcher_that_dies_are_sent_again_as_the_same_events() {
    let mut platform = Platform::failing_at(Dispatcher, "dispatcher::sent").await;
    platform.asking.create(3).await.unwrap();
    platform.crash_and_restart(Dispatcher).await;
    platform.deliver_all(6).await;
    let audit = platform.audit().await;
    assert_eq!((audit.events, audit.copies), (3, 3));
}

#[tokio::test]
async fn an_upload_whose_internal_api_dies_before_the_first_byte_can_be_repeated() {
    let (platform, export) = interrupted_upload("receive::upload-begun", 2_000).await;
    repeat_upload(&platform, &export, 2_000).await;
}

#[tokio::test]
async fn an_upload_in_parts_whose_internal_api_dies_can_be_repeated() {
    let (platform, export) = interrupted_upload("receive::multipart-noted", IN_PARTS).await;
    let database = platform.rig.database().await.unwrap();
    let noted = "SELECT count(*) FROM upload_attempts WHERE store_upload_id IS NOT NULL";
    assert_eq!(count(&database, noted).await.unwrap(), 1, "the reaper can find its parts");
    repeat_upload(&platform, &export, IN_PARTS).await;
}

#[tokio::test]
async fn an_object_whose_internal_api_dies_before_it_settles_is_deleted() {
    let (platform, export) = interrupted_upload("receive::object-stored", 2_000).await;
    let status = platform.asking.status(&export.id).await.unwrap();
    assert_eq!(status["sources"][0]["status"], "pending", "nothing was acknowledged");
    repeat_upload(&platform, &export, 2_000).await;
}

#[tokio::test]
async fn an_upload_in_parts_that_is_whole_and_not_settled_is_deleted() {
    let (platform, export) = interrupted_upload("receive::object-stored", IN_PARTS).await;
    repeat_upload(&platform, &export, IN_PARTS).await;
}

#[tokio::test]
async fn an_upload_whose_internal_api_dies_before_it_answers_counts_and_its_repeat_is_welcome() {
    let (platform, export) = interrupted_upload("receive::settled", 2_000).await;
    let source = &export.sources[0];
    assert_eq!(platform.asking.status(&export.id).await.unwrap()["status"], "complete");
    let other = platform.answering.upload(&export.id, source, b"other bytes".to_vec()).await.unwrap();
    assert_eq!(other, 410);
    repeat_upload(&platform, &export, 2_000).await;
}

#[tokio::test]
async fn an_error_whose_internal_api_dies_before_it_answers_counts_and_its_repeat_is_welcome() {
    let mut platform = Platform::failing_at(InternalApi, "internal-api::error-settled").await;
    let export = platform.asking.create(1).await.unwrap();
    assert!(platform.answering.report(&export.id, &export.sources[0]).await.is_err(), "nobody answers");
    platform.crash_and_restart(InternalApi).await;
    assert_eq!(platform.answering.report(&export.id, &export.sources[0]).await.unwrap(), 202);
    assert_eq!(platform.asking.status(&export.id).await.unwrap()["status"], "failed");
    platform.audit().await;
}

/// An export with one source, whose upload dies with its internal API, which runs again.
async fn interrupted_upload(failpoint: &str, size_bytes: usize) -> (Platform, Accepted) {
    let mut platform = Platform::failing_at(InternalApi, failpoint).await;
    let export = platform.asking.create(1).await.unwrap();
    let source = &export.sources[0];
    let answer = platform.answering.upload(&export.id, source, payload(source, size_bytes)).await;
    assert!(answer.is_err(), "nobody answers: {answer:?}");
    platform.crash_and_restart(InternalApi).await;
    (platform, export)
}

/// The upload succeeds, and of the first try nothing is left.
async fn repeat_upload(platform: &Platform, export: &Accepted, size_bytes: usize) {
    let source = &export.sources[0];
    let answer = platform.answering.upload(&export.id, source, payload(source, size_bytes)).await;
    assert_eq!(answer.unwrap(), 202);
    let audit = platform.audit().await;
    assert_eq!((audit.archives, audit.objects), (1, 1));
}

#[tokio::test]
async fn a_deleted_export_that_a_dying_reaper_has_released_leaves_nothing() {
    deleted_under("expiry-reaper::released").await;
}

#[tokio::test]
async fn objects_that_a_dying_reaper_was_to_delete_are_deleted_by_the_next() {
    deleted_under("expiry-reaper::objects-leased").await;
}

#[tokio::test]
async fn objects_that_a_dying_reaper_has_deleted_are_settled_by_the_next() {
    deleted_under("expiry-reaper::objects-deleted").await;
}

/// Deletes one of two delivered exports under a reaper that dies: the other stays whole.
async fn deleted_under(failpoint: &str) {
    let mut platform = Platform::failing_at(ExpiryReaper, failpoint).await;
    let (kept, dropped) =
        (platform.asking.create(2).await.unwrap(), platform.asking.create(3).await.unwrap());
    platform.deliver_all(5).await;
    assert_eq!(platform.asking.delete(&dropped.id).await.unwrap(), 202);
    platform.crash_and_restart(ExpiryReaper).await;
    let audit = platform.audit().await;
    assert_eq!((audit.archives, audit.objects), (1, 2), "only {} is left", kept.id);
}

#[tokio::test]
async fn uploads_that_a_dying_reaper_has_ended_leave_nothing() {
    let mut platform = Platform::failing_at(ExpiryReaper, "expiry-reaper::uploads-ended").await;
    let export = platform.asking.create(1).await.unwrap();
    let source = export.sources[0].clone();
    // The internal API dies too, with the object half-way up.
    let (chunks, body) = tokio::sync::mpsc::channel(1);
    let body = reqwest::Body::wrap_stream(crate::payload::held_back(body));
    let answering = platform.answering.clone();
    let (id, to) = (export.id.clone(), source.clone());
    let uploading = tokio::spawn(async move { answering.upload_as(&id, &to, body).await });
    chunks.send(payload(&source, IN_PARTS)).await.unwrap();
    let database = platform.rig.database().await.unwrap();
    let noted = "SELECT count(*) FROM upload_attempts WHERE store_upload_id IS NOT NULL";
    poll_until(SOON, async || Ok((count(&database, noted).await? == 1).then_some(()))).await.unwrap();
    restart_after_kill(&mut platform, InternalApi).await;
    assert!(uploading.await.unwrap().is_err(), "the connection broke");
    platform.crash_and_restart(ExpiryReaper).await;
    wait_for_none(&database, "SELECT count(*) FROM object_deletions").await.unwrap();
    assert_eq!(platform.answering.upload(&export.id, &source, payload(&source, 1_000)).await.unwrap(), 202);
    assert_eq!(platform.audit().await.objects, 1);
}

async fn restart_after_kill(platform: &mut Platform, service: Service) {
    let program = platform.program(service);
    program.kill();
    program.restart().await.unwrap();
}
