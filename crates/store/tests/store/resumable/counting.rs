//! For how long a resumable upload counts as an answer under way (S0-tus, S0-deadline).

use chrono::TimeDelta;
use store::PieceOutcome;

use super::{PAUSE, SETTLED, Upload};
use crate::support::{Fixture, owner};

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_s0_deadline_a_source_whose_upload_goes_on_is_not_overdue() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    fixture.clock.advance(TimeDelta::hours(24) - PAUSE / 2);
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    fixture.clock.advance(PAUSE - TimeDelta::seconds(1));
    upload.add(0, 10).await;
    fixture.clock.advance(PAUSE - TimeDelta::seconds(1));
    assert_eq!(fixture.fail_overdue(10).await, 0);
    fixture.clock.advance(TimeDelta::seconds(1));
    assert_eq!(fixture.fail_overdue(10).await, 1, "nothing has come for a while, though it could go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_s0_deadline_a_source_whose_upload_pauses_is_asked_again_and_whoever_is_first_settles_it() {
    let fixture = Fixture::new().await;
    let draft = fixture.create_with_tries(1).await;
    fixture.send_all().await;
    fixture.clock.advance(TimeDelta::hours(1) - PAUSE);
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    upload.add(0, 10).await;
    fixture.clock.advance(PAUSE - TimeDelta::seconds(1));
    assert_eq!(fixture.ask_again().await, 0);
    fixture.clock.advance(TimeDelta::seconds(1));
    // The expiry-reaper leaves it alone: it can go on.
    assert_eq!(fixture.store.expire_uploads(fixture.now(), 10).await.unwrap(), 0);
    assert_eq!(fixture.ask_again().await, 1);
    assert_eq!(upload.add(10, 20).await.1, PieceOutcome::Kept);
    fixture.clock.advance(PAUSE - TimeDelta::seconds(1));
    assert_eq!(fixture.received_bytes(&draft).await, Some(30), "it counts again");
    assert_eq!(upload.add(30, 30).await.1, SETTLED);
    assert_eq!(fixture.attempts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_s0_status_what_was_received_is_told_as_long_as_the_upload_counts() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    upload.add(0, 10).await;
    assert_eq!(fixture.received_bytes(&draft).await, Some(10));
    fixture.clock.advance(PAUSE);
    assert_eq!(fixture.received_bytes(&draft).await, None);
}
