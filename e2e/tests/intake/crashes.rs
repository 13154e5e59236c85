//! Intake dies between fetching, settling, and committing the offset, and is started again: each source is
//! settled exactly once, and nothing is left over.

use std::time::Duration;

use chrono::TimeDelta;

use crate::{
    endpoint::Behaviour,
    process::Program,
    support::{Announcing, announcement, asked_for},
};

/// Announces an archive to an intake that dies at `failpoint`; the next one brings it to its end. Returns the
/// app, and how often the archive was fetched.
async fn settled_in_spite_of(failpoint: &str) -> u32 {
    let announcing = Announcing::without_intake(1, |_| ()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut failing = Program::start(&announcing, folder.path(), &format!("{failpoint}=return")).await;
    let export = announcing.export(1).await;
    let url = announcing.endpoint.put("archive", Behaviour::Body(b"[1]".to_vec()));
    announcing.announce(&announcement(&export, 0, &url)).await;
    failing.expect_crash().await;
    let mut next = Program::start(&announcing, folder.path(), "").await;
    announcing.wait_source(&export, 0, "complete").await;
    // Behind it in the partition: once it is settled, the first was looked at again.
    let behind = announcing.export(1).await;
    announcing.announce(&announcement(&behind, 0, &url)).await;
    announcing.wait_source(&behind, 0, "complete").await;
    assert_eq!(next.terminate(Duration::from_secs(12)).await, Some(0));
    announcing.dead_letters(0).await;
    nothing_is_left_over(&announcing, 2).await;
    let fetched = announcing.endpoint.requests("archive") - 1;
    announcing.end().await;
    fetched
}

/// Waits until the bytes of the attempts that died are gone.
async fn nothing_is_left_over(announcing: &Announcing, objects: usize) {
    // The clock of the app's reaper stands still, in the past of the processes.
    let app = &announcing.app;
    app.clock.advance(TimeDelta::days(1));
    app.wait_for_no("upload_attempts").await.unwrap();
    app.wait_for_no("object_deletions").await.unwrap();
    assert_eq!(app.object_keys().await.len(), objects);
}

#[tokio::test]
async fn an_archive_that_was_fetched_and_not_settled_is_fetched_again() {
    assert_eq!(Box::pin(settled_in_spite_of("receive::object-stored")).await, 2);
}

#[tokio::test]
async fn an_archive_that_was_settled_and_not_noted_is_settled_once() {
    assert_eq!(Box::pin(settled_in_spite_of("receive::settled")).await, 2);
}

#[tokio::test]
async fn an_archive_whose_offset_was_not_committed_is_settled_once() {
    assert_eq!(Box::pin(settled_in_spite_of("intake::handed-in")).await, 2);
}

#[tokio::test]
async fn a_dead_letter_whose_offset_was_not_committed_is_kept_again() {
    let announcing = Announcing::without_intake(1, |_| ()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut failing = Program::start(&announcing, folder.path(), "intake::buried=return").await;
    let service = announcing.settings.announce.consume_service.clone();
    announcing.send(&service, b"nothing to read".to_vec()).await;
    failing.expect_crash().await;
    let _next = Program::start(&announcing, folder.path(), "").await;
    let letters = announcing.dead_letters(2).await;
    assert_eq!(letters[0].origin, letters[1].origin);
    announcing.end().await;
}

#[tokio::test]
async fn an_intake_that_is_asked_to_stop_finishes_what_it_fetches_and_leaves_the_rest_to_the_next() {
    let announcing = Announcing::without_intake(1, |_| ()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut first = Program::start(&announcing, folder.path(), "").await;
    let export = announcing.export(2).await;
    let slow = Behaviour::Slow(Duration::from_secs(2), b"[1]".to_vec());
    let url = announcing.endpoint.put("slow", slow);
    announcing.announce(&announcement(&export, 0, &url)).await;
    let failing = announcing.endpoint.put("failing", Behaviour::Status(503));
    announcing.announce(&announcement(&export, 1, &failing)).await;
    asked_for(&announcing.endpoint, &["slow", "failing"]).await;
    assert_eq!(first.terminate(Duration::from_secs(12)).await, Some(0));
    assert_eq!(announcing.app.status(&export).await["sources"][0]["status"], "complete");
    assert_eq!(announcing.endpoint.requests("slow"), 1);
    announcing.endpoint.put("failing", Behaviour::Body(b"[2]".to_vec()));
    let _next = Program::start(&announcing, folder.path(), "").await;
    announcing.wait_source(&export, 1, "complete").await;
    announcing.dead_letters(0).await;
    announcing.end().await;
}
