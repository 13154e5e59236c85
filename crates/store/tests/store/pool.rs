//! A database that is busy, slow, away or frozen.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use diesel::connection::SimpleConnection as _;
use domain::{ExportDraft, ListQuery, Period, Secret, SourceError};
use store::{AnswerOutcome, Settings, Store, StoreError};
use testkit::{Fault, FaultProxy, poll_until};

use crate::support::{Fixture, Held, PATIENCE, number, owner, settings};

/// A fixture whose store has two connections and little patience, with an export.
async fn impatient(change: impl FnOnce(&mut Settings)) -> (Fixture, ExportDraft) {
    let fixture = Fixture::with(|settings| {
        settings.pool_size = 2;
        settings.pool_wait = Period::from_millis(300);
        change(settings);
    })
    .await;
    let draft = poll_until(PATIENCE, async || {
        let draft = fixture.draft("Nightly", 1);
        fixture.store.create_export(crate::support::rows_of(&draft, &owner("jdoe"))).await?;
        Ok(Some(draft))
    });
    let draft = draft.await.unwrap();
    (fixture, draft)
}

/// A call that waits for the row of the export.
async fn answer(store: &Store, draft: &ExportDraft) -> Result<AnswerOutcome, StoreError> {
    let error = SourceError::new(1, "no");
    store.answer_with_error(draft.id, draft.sources[0].id, error, draft.created_at).await
}

fn assert_unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>, reason: &str) {
    match result {
        Err(StoreError::Unavailable { reason: given }) if given.contains(reason) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_which_no_connection_gets_free_in_time_is_refused_as_busy() {
    let (fixture, draft) = impatient(|_| ()).await;
    let mut held = Held::row_of(&fixture, &draft);
    let waiting = [1, 2].map(|_| {
        let (store, draft) = (fixture.store.clone(), draft.clone());
        tokio::spawn(async move { answer(&store, &draft).await })
    });
    held.awaited_by(2).await;
    let refused = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert!(refused.unwrap_err().is_transient());
    drop(held);
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    assert!(fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().is_some());
    assert_eq!(fixture.store.pool_state().size, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_whose_caller_went_away_keeps_its_connection_until_it_is_done() {
    let (fixture, draft) = impatient(|settings| settings.pool_size = 1).await;
    let mut held = Held::row_of(&fixture, &draft);
    let (store, second) = (fixture.store.clone(), draft.clone());
    let abandoned = tokio::spawn(async move { answer(&store, &second).await });
    held.awaited_by(1).await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    assert!(matches!(answer(&fixture.store, &draft).await, Err(StoreError::Busy)));
    drop(held);
    // It was done nevertheless.
    let outcome =
        poll_until(PATIENCE, async || Ok(Some(answer(&fixture.store, &draft).await?))).await.unwrap();
    assert_eq!(outcome, AnswerOutcome::Repeated);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_given_up_and_its_connection_goes_on() {
    let short = Period::from_millis(400);
    for (reason, change) in [
        ("statement timeout", (|s, short| s.statement_timeout = short) as fn(&mut Settings, Period)),
        ("lock timeout", |s, short| s.lock_timeout = short),
    ] {
        let (fixture, draft) = impatient(|settings| {
            (settings.pool_size, settings.lock_timeout) = (1, Period::from_secs(60));
            change(settings, short);
        })
        .await;
        let mut held = Held::row_of(&fixture, &draft);
        let pids = "SELECT sum(pid)::bigint AS n FROM pg_stat_activity \
                    WHERE datname = current_database() AND backend_type = 'client backend'";
        let before = number(&mut held.observer, pids);
        let failed = answer(&fixture.store, &draft).await.unwrap_err();
        assert!(failed.is_transient() && failed.to_string().contains(reason), "{failed:?}");
        held.holder.batch_execute("ROLLBACK").unwrap();
        let settled =
            poll_until(PATIENCE, async || Ok(answer(&fixture.store, &draft).await.ok())).await.unwrap();
        assert!(matches!(settled, AnswerOutcome::Settled(_) | AnswerOutcome::Repeated));
        assert_eq!(number(&mut held.observer, pids), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_of_those_with_many_exports_leave_most_connections_to_others() {
    let (fixture, _) = impatient(|settings| {
        (settings.pool_size, settings.pool_wait) = (4, Period::from_secs(2));
        settings.lock_timeout = Period::from_secs(60);
    })
    .await;
    fixture.connection().batch_execute("UPDATE owners SET export_count = 1000000").unwrap();
    let mut holder = fixture.connection();
    holder.batch_execute("BEGIN; LOCK TABLE exports").unwrap();
    let mut held = Held { holder, observer: fixture.connection() };
    let search = |who: &str| {
        let (store, owner) = (fixture.store.clone(), owner(who));
        let query = ListQuery { name: Some("any".to_owned()), ..ListQuery::default() };
        tokio::spawn(async move { store.list_exports(owner, query).await })
    };
    let first = search("jdoe");
    held.awaited_by(1).await;
    let second = search("jdoe").await.unwrap();
    assert!(matches!(second, Err(StoreError::Busy)), "{second:?}");
    let of_another = search("nobody");
    assert_eq!(of_another.await.unwrap().unwrap().count, 0, "who has few does not wait for those");
    drop(held);
    assert_eq!(first.await.unwrap().unwrap().count, 0);
    search("jdoe").await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_session_fails_its_call_and_no_other() {
    let (fixture, draft) = impatient(|_| ()).await;
    let mut held = Held::row_of(&fixture, &draft);
    let (store, second) = (fixture.store.clone(), draft.clone());
    let call = tokio::spawn(async move { answer(&store, &second).await });
    held.awaited_by(1).await;
    held.observer
        .batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .unwrap();
    assert_unavailable(call.await.unwrap(), "");
    drop(held);
    let settled =
        poll_until(PATIENCE, async || Ok(Some(answer(&fixture.store, &draft).await?))).await.unwrap();
    assert!(matches!(settled, AnswerOutcome::Settled(_)), "nothing of the failed one was kept: {settled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_fail_fast_while_the_database_is_away_and_work_again_by_themselves() {
    let (fixture, draft) = impatient(|_| ()).await;
    let (proxy, store) = behind_proxy(&fixture).await;
    poll_until(PATIENCE, async || Ok(store.find_export(owner("jdoe"), draft.id, fixture.now()).await?))
        .await
        .unwrap();
    for _ in 0..2 {
        proxy.set(Fault::Refuse);
        proxy.cut_all();
        let started = Instant::now();
        for _ in 0..5 {
            assert_unavailable(store.find_export(owner("jdoe"), draft.id, fixture.now()).await, "");
            assert_unavailable(store.check().await, "");
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        let attempts = proxy.accepted();
        proxy.set(Fault::None);
        poll_until(PATIENCE, async || Ok(store.find_export(owner("jdoe"), draft.id, fixture.now()).await?))
            .await
            .unwrap();
        store.check().await.unwrap();
        // Two connections, each tried a few times a second at most.
        assert!(attempts < 200, "{attempts} attempts to connect");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_holds_nobody_for_ever() {
    let (fixture, draft) = impatient(|_| ()).await;
    let (proxy, store) = behind_proxy(&fixture).await;
    poll_until(PATIENCE, async || Ok(store.find_export(owner("jdoe"), draft.id, fixture.now()).await?))
        .await
        .unwrap();
    proxy.set(Fault::Pause);
    for _ in 0..3 {
        let failed = store.find_export(owner("jdoe"), draft.id, fixture.now()).await;
        assert!(matches!(failed, Err(StoreError::Unavailable { .. } | StoreError::Busy)), "{failed:?}");
    }
    proxy.set(Fault::None);
    poll_until(PATIENCE, async || Ok(store.find_export(owner("jdoe"), draft.id, fixture.now()).await?))
        .await
        .unwrap();
}

/// A second store on the database of a fixture, through a proxy, with two connections and little patience.
async fn behind_proxy(fixture: &Fixture) -> (FaultProxy, Store) {
    let url = fixture.database.url();
    let (before, address) = url.split_once('@').unwrap();
    let (address, database) = address.split_once('/').unwrap();
    let proxy = FaultProxy::start(address.parse::<SocketAddr>().unwrap()).await.unwrap();
    let url = format!("{before}@{}/{database}", proxy.address());
    let store = Store::connect(Settings {
        url: Secret::from(url),
        pool_size: 2,
        pool_wait: Period::from_millis(300),
        statement_timeout: Period::from_millis(500),
        ..settings("")
    });
    (proxy, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_is_unavailable() {
    let (fixture, draft) = impatient(|_| ()).await;
    let read_only =
        format!("ALTER DATABASE {} SET default_transaction_read_only = on", fixture.database.name());
    fixture.connection().batch_execute(&read_only).unwrap();
    let store = Store::connect(settings(&fixture.database.url()));
    assert_unavailable(store.delete_export(owner("jdoe"), draft.id, draft.created_at).await, "read-only");
}
