//! Everything that changes rows, at once and on the same exports: nothing fails, and nothing stands in each
//! other's way so that Postgres has to end it.

use std::{collections::HashSet, time::Duration};

use chrono::TimeDelta;
use domain::{
    ExportDraft, Record, RequestEvent, SourceError,
    ids::{AttemptId, LeaseToken},
};
use futures_util::future::join_all;
use store::{NewAttempt, OutboxKind, Retry, RetrySource, StoreError};
use testkit::poll_until;

use crate::{
    ask_again::render,
    random::Random,
    support::{Fixture, ONE_TRY, OVERTIME, number, owner, stored},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_deadlocks_whatever_happens_at_once() {
    let fixture = Fixture::with(|settings| settings.pool_size = 16).await;
    for round in 0..6 {
        let mut drafts = Vec::new();
        for _ in 0..6 {
            let mut draft = fixture.draft("Nightly", 4);
            draft.sources[0].expires_at = fixture.now() + TimeDelta::hours(1);
            draft.sources[1].max_tries = Some(2);
            fixture.create_from(&owner("jdoe"), &draft).await;
            drafts.push(draft);
        }
        let actors = (0..16).map(|seed| act(&fixture, &drafts, Random::seeded(round * 16 + seed)));
        for outcome in join_all(actors).await {
            outcome.unwrap();
        }
    }
    // What a session has counted it reports when it ends, if not before.
    let Fixture { store, database, .. } = fixture;
    drop(store);
    let mut observer = diesel::Connection::establish(&database.url()).unwrap();
    let sessions = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'";
    let alone = async || Ok((number(&mut observer, sessions) == 1).then_some(()));
    poll_until(Duration::from_secs(30), alone).await.unwrap();
    let deadlocks = "SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(number(&mut observer, deadlocks), 0);
}

async fn act(fixture: &Fixture, drafts: &[ExportDraft], mut random: Random) -> Result<(), StoreError> {
    for _ in 0..25 {
        let draft = &drafts[random.below(drafts.len())];
        match random.below(4) {
            0 => answer(fixture, draft, &mut random).await?,
            1 => dispatch(fixture, draft, &mut random).await?,
            2 => ask(fixture, draft, &mut random).await?,
            _ => reap(fixture, draft, &mut random).await?,
        }
    }
    Ok(())
}

async fn answer(fixture: &Fixture, draft: &ExportDraft, random: &mut Random) -> Result<(), StoreError> {
    let (store, now, source) = (&fixture.store, fixture.now(), draft.sources[random.below(4)].id);
    if random.one_in(4) {
        let error = SourceError::new(1, "no");
        store.answer_with_error(draft.id, source, error, now).await?;
        return Ok(());
    }
    let id = AttemptId::random();
    let attempt = NewAttempt {
        id,
        export_id: draft.id,
        resource_id: source,
        object_key: format!("{}/{id}", draft.id),
        lease_expires_at: now + TimeDelta::minutes(1),
    };
    store.begin_upload(attempt.clone()).await?;
    store.renew_upload(id, now + TimeDelta::minutes(1), 0).await?;
    store.note_received(id, 1).await?;
    if random.one_in(4) {
        store.abandon_upload(id, now).await?;
    }
    let data = stored(&attempt.object_key, u8::from(random.one_in(2)));
    store.answer_with_data(draft.id, source, id, data, now).await?;
    Ok(())
}

async fn dispatch(fixture: &Fixture, draft: &ExportDraft, random: &mut Random) -> Result<(), StoreError> {
    let (store, now, token) = (&fixture.store, fixture.now(), LeaseToken::random());
    let until = now + TimeDelta::seconds(i64::from(!random.one_in(3)));
    let kind = if random.one_in(3) { OutboxKind::Lifecycle } else { OutboxKind::Request };
    let leased = store.lease_records(kind, token, now, until, 10).await?;
    let mut ids: Vec<_> = leased.iter().map(|row| row.id).collect();
    // Nobody promises an order.
    ids.reverse();
    match random.below(4) {
        0 => drop(store.finish_records(token, ids).await?),
        1 => drop(store.return_records(token, ids, now, None).await?),
        2 => {
            for id in ids {
                store.park_record(token, id, "no".to_owned(), now).await?;
            }
            store.requeue_records(None, now).await?;
        }
        _ => {
            let key = draft.id.to_string();
            let record =
                Record { topic: "requests".to_owned(), key, headers: Vec::new(), payload: Vec::new() };
            store.enqueue_records(vec![(draft.id, record.clone()), (draft.id, record)], now).await?;
        }
    }
    Ok(())
}

async fn ask(fixture: &Fixture, draft: &ExportDraft, random: &mut Random) -> Result<(), StoreError> {
    let (store, now) = (&fixture.store, fixture.now());
    if random.one_in(3) {
        let soon = now + TimeDelta::hours(13);
        store.ask_again(soon, 3, |event| Some(render(event))).await?;
        return Ok(());
    }
    let source = RetrySource {
        owner: owner("jdoe"),
        export_id: draft.id,
        resource_id: draft.sources[random.below(4)].id,
        identity: "identity".to_owned(),
    };
    let ask = |event: &RequestEvent| Ok::<_, ()>(Retry { record: render(event), asking: ONE_TRY });
    store.retry_source(source, now, ask).await?;
    Ok(())
}

async fn reap(fixture: &Fixture, draft: &ExportDraft, random: &mut Random) -> Result<(), StoreError> {
    let (store, now) = (&fixture.store, fixture.now());
    let (soon, late) = (now + TimeDelta::days(2), now + TimeDelta::days(8));
    match random.below(12) {
        0 if random.one_in(4) => drop(store.delete_export(owner("jdoe"), draft.id, now).await?),
        1 => drop(store.release_deleted(now, now, 3).await?),
        2 if random.one_in(4) => drop(store.release_expired(late, now, 3).await?),
        3 => drop(store.release_expired_sources(soon, now, 3).await?),
        4 => drop(store.purge_expired(now, 3).await?),
        5 => drop(store.expire_uploads(soon, 3).await?),
        6 if random.one_in(3) => drop(store.fail_overdue(soon, OVERTIME, 3).await?),
        7 => drop(store.find_download(owner("jdoe"), draft.id, soon).await?),
        8 => drop(store.fold_export_counts(10).await?),
        9 => {
            for lost in store.stored_objects(None, now, 3).await? {
                store.settle_lost_object(lost, now).await?;
            }
        }
        10 => {
            let keys: HashSet<_> = fixture.queued_keys().into_iter().take(20).collect();
            store.delete_orphans(keys.into_iter().collect(), now).await?;
        }
        _ => {
            let token = LeaseToken::random();
            let leased = store.lease_object_deletions(token, now, soon, 5).await?;
            let keys = leased.into_iter().map(|object| object.object_key).collect();
            store.finish_object_deletions(token, keys).await?;
        }
    }
    Ok(())
}
