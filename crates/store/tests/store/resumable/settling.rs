//! The last piece of a resumable upload settles its source with all of them (S0-tus).

use domain::{ExportStatus, LifecycleChange};
use store::{AnswerOutcome, Downloadable, PieceOutcome};

use super::{OUTCOME, SETTLED, Upload};
use crate::support::{Fixture, owner};

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_the_last_piece_settles_the_source_with_all_of_them() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    let (first, one) = upload.add(0, 10).await;
    let (second, two) = upload.add(10, 20).await;
    assert_eq!((one, two), (PieceOutcome::Kept, PieceOutcome::Kept));
    let (third, three) = upload.add(30, 30).await;
    assert_eq!(three, SETTLED);
    assert_eq!(upload.offset().await, Some(60));
    assert_eq!(fixture.attempts(), 0);
    assert!(fixture.queued_keys().is_empty());

    let download = fixture.store.find_download(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    let Downloadable::Ready(manifest) = download else { panic!("{download:?}") };
    let member = &manifest.members[0];
    assert_eq!((manifest.layout_version, member.size_bytes, &member.object_key), (2, 60, &first));
    let further: Vec<_> = member.further_pieces.iter().map(|piece| &piece.object_key).collect();
    assert_eq!(further, [&second, &third]);

    fixture.store.release_expired(draft.expires_at, fixture.now(), 10).await.unwrap();
    let mut all = [first, second, third];
    all.sort();
    assert_eq!(fixture.queued_keys(), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_one_piece_is_no_other_than_an_upload() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(60)).await;
    assert_eq!(upload.add(0, 60).await.1, SETTLED);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM resource_pieces"), 0);
    let download = fixture.store.find_download(owner("jdoe"), draft.id, fixture.now()).await.unwrap();
    assert!(matches!(download, Downloadable::Ready(manifest) if manifest.layout_version == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_only_data_in_one_object_is_announced_and_all_of_it_is_told() {
    for (pieces, announcements) in [(1, 1), (2, 0)] {
        let fixture = Fixture::new().await;
        fixture.announced(true);
        let draft = fixture.create(&owner("jdoe"), 1).await;
        fixture.news().await;
        let upload = Upload::begin(&fixture, &draft, Some(20 * pieces)).await;
        for place in 0..pieces {
            upload.add(20 * place, 20).await;
        }
        assert_eq!(fixture.announcements(), announcements);
        let LifecycleChange::SourceCompleted { size_bytes, stored_bytes, .. } =
            fixture.news().await[0].change
        else {
            panic!("not told");
        };
        assert_eq!((size_bytes, stored_bytes), (20 * pieces, 50 * pieces));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_the_same_bytes_repeat_an_answer_and_others_conflict_and_neither_leaves_a_piece() {
    for (delivered, expected, remains) in
        [(OUTCOME, AnswerOutcome::Repeated, Some(20)), ([1; 32], AnswerOutcome::Conflict, None)]
    {
        let fixture = Fixture::new().await;
        let draft = fixture.create(&owner("jdoe"), 1).await;
        let upload = Upload::begin(&fixture, &draft, Some(20)).await;
        let (first, _) = upload.add(0, 10).await;
        assert_eq!(
            fixture.deliver(draft.id, draft.sources[0].id, delivered[0]).await,
            AnswerOutcome::Settled(ExportStatus::Complete)
        );
        let (second, outcome) = upload.add(10, 10).await;
        assert_eq!(outcome, PieceOutcome::Answered(expected));
        let mut gone = [first, second];
        gone.sort();
        assert_eq!(fixture.queued_keys(), gone);
        assert_eq!((upload.offset().await, fixture.attempts()), (remains, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s0_tus_a_source_of_which_a_piece_is_lost_fails_and_leaves_none() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1).await;
    let upload = Upload::begin(&fixture, &draft, Some(20)).await;
    let (first, _) = upload.add(0, 10).await;
    let (second, _) = upload.add(10, 10).await;
    let keys = [&first, &second].map(|key| (draft.id, key.clone()));
    assert_eq!(fixture.store.known_objects(keys.to_vec()).await.unwrap().len(), 2);
    let mut rows = fixture.store.stored_objects(None, fixture.now(), 10).await.unwrap();
    assert_eq!((rows.len(), &rows[0].further_keys), (1, &vec![second.clone()]));
    assert!(fixture.store.settle_lost_object(rows.remove(0), fixture.now()).await.unwrap());
    let mut gone = [first, second];
    gone.sort();
    assert_eq!(fixture.queued_keys(), gone);
}
