//! Waking the dispatcher.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{PgConnection, connection::SimpleConnection as _};
use testkit::poll_until;
use tokio::{sync::Notify, time::timeout};

use crate::support::{Fixture, number};

const PATIENCE: Duration = Duration::from_secs(30);

/// Ends the sessions whose last statement begins so; returns how many.
fn terminate(connection: &mut PgConnection, statement: &str) -> i64 {
    number(
        connection,
        &format!(
            "SELECT count(*) AS n FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE '{statement}%' OFFSET 0) t"
        ),
    )
}

/// Waits until as many sessions have that as their last statement.
async fn sessions(fixture: &Fixture, statement: &str, count: i64) {
    let sql = format!(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '{statement}%'"
    );
    let mut connection = fixture.connection();
    poll_until(PATIENCE, async || Ok((number(&mut connection, &sql) == count).then_some(()))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listener_is_woken_at_its_start_and_by_each_wake_up() {
    let fixture = Fixture::new().await;
    let woken: [Arc<Notify>; 2] = Default::default();
    let listeners = woken.clone().map(|woken| fixture.store.wakeup_listener(woken).unwrap());
    let sender = fixture.store.wakeup_sender().unwrap();
    // What was written before anybody listened has to be looked for.
    for woken in &woken {
        timeout(PATIENCE, woken.notified()).await.unwrap();
    }
    for _ in 0..5 {
        sender.clone().wake();
        for woken in &woken {
            timeout(PATIENCE, woken.notified()).await.unwrap();
        }
    }
    drop(listeners);
    sessions(&fixture, "LISTEN", 0).await;
    drop(sender);
    sessions(&fixture, "NOTIFY", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_wake_ups_at_once_are_a_few_notifications() {
    let fixture = Fixture::new().await;
    let mut connection = fixture.connection();
    connection.batch_execute("LISTEN outbox").unwrap();
    let sender = fixture.store.wakeup_sender().unwrap();
    let started = Instant::now();
    for _ in 0..1000 {
        sender.wake();
    }
    let ran = started.elapsed();
    let mut notifications = 0;
    // The last wake-up comes after all was asked for: its notification ends the test.
    poll_until(PATIENCE, async || {
        connection.batch_execute("SELECT 1")?;
        notifications += connection.notifications_iter().count();
        Ok((notifications > 0).then_some(()))
    })
    .await
    .unwrap();
    drop(sender);
    sessions(&fixture, "NOTIFY", 0).await;
    connection.batch_execute("SELECT 1").unwrap();
    notifications += connection.notifications_iter().count();
    let most = 3 + usize::try_from(ran.as_millis() / 3).unwrap();
    assert!(notifications <= most, "{notifications} notifications in {ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_connect_again_and_what_was_missed_is_made_good() {
    let fixture = Fixture::new().await;
    let woken = Arc::new(Notify::new());
    let _listener = fixture.store.wakeup_listener(Arc::clone(&woken)).unwrap();
    timeout(PATIENCE, woken.notified()).await.unwrap();
    let sender = fixture.store.wakeup_sender().unwrap();
    sender.wake();
    timeout(PATIENCE, woken.notified()).await.unwrap();

    let mut connection = fixture.connection();
    // The sender notices at its next wake-up, which still arrives.
    assert_eq!(terminate(&mut connection, "NOTIFY"), 1);
    sessions(&fixture, "NOTIFY", 0).await;
    sender.wake();
    timeout(PATIENCE, woken.notified()).await.unwrap();
    // A wake-up that nobody hears is made good when the listener is back.
    assert_eq!(terminate(&mut connection, "LISTEN"), 1);
    sender.wake();
    timeout(PATIENCE, woken.notified()).await.unwrap();
    sessions(&fixture, "LISTEN", 1).await;
    sender.wake();
    timeout(PATIENCE, woken.notified()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn waking_never_waits_even_when_the_database_is_away() {
    let fixture = Fixture::new().await;
    let nowhere = store::Store::connect(crate::support::settings("postgres://postgres@127.0.0.1:1/none"));
    let sender = nowhere.wakeup_sender().unwrap();
    let listener = nowhere.wakeup_listener(Arc::default()).unwrap();
    for _ in 0..10_000 {
        sender.wake();
    }
    drop((sender, listener, fixture));
}
