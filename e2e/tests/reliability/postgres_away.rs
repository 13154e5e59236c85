//! The database goes away and comes back.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use devservers::{Postgres, PostgresOptions};
use e2e::PATIENCE;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use store::Store;
use testkit::{Fault, FaultProxy, poll_until};

use crate::{
    callers::{Asking, expect_unavailable, wanted},
    load::keep_trying,
    payload::payload,
    platform::Platform,
    program::Service,
    rig::Rig,
    starting::proxied,
};

/// Within this an answer says that the database is away.
const FAST: Duration = Duration::from_secs(4);

#[tokio::test]
async fn while_the_database_cannot_be_reached_requests_are_told_so_and_then_all_goes_on() {
    let (platform, proxy) = behind_proxy("[database]\npool_wait = \"500ms\"").await;
    let export = platform.asking.create(2).await.unwrap();
    platform.rig.topic.wait_for(2).await;
    proxy.set(Fault::Refuse);
    proxy.cut_all();
    refuse_for_the_moment(&platform, &export.id, &export.sources[0]).await;
    for program in [&platform.public, &platform.internal, &platform.dispatcher, &platform.reaper] {
        program.wait_unready("postgres").await;
    }
    proxy.set(Fault::None);
    back_to_work(platform).await;
}

#[tokio::test]
async fn a_database_that_freezes_holds_no_request_for_long() {
    let (platform, proxy) = behind_proxy("[database]\nstatement_timeout = \"1s\"").await;
    let export = platform.asking.create(2).await.unwrap();
    platform.rig.topic.wait_for(2).await;
    proxy.set(Fault::Pause);
    // More than there are connections.
    let requests = (0..20).map(|_| async {
        let asked = Instant::now();
        let answer = platform.asking.send(create(&platform.asking)).await.unwrap();
        (answer, asked.elapsed())
    });
    for (answer, took) in join_all(requests).await {
        expect_unavailable(&answer);
        assert!(took < Duration::from_secs(8), "it took {took:?}");
    }
    platform.public.wait_unready("postgres").await;
    proxy.set(Fault::None);
    assert_eq!(export.sources.len(), 2);
    back_to_work(platform).await;
}

#[tokio::test]
async fn connections_that_break_again_and_again_lose_nothing() {
    let (platform, proxy) = behind_proxy("").await;
    let load = {
        let asking = platform.asking.clone();
        tokio::spawn(async move {
            for _ in 0..150 {
                // What is refused or breaks is not accepted, and the ledger knows.
                let _ = asking.create(2).await;
            }
        })
    };
    for round in 1..=10 {
        let waited = poll_until(PATIENCE, async || {
            let books = platform.rig.ledger.books();
            Ok((books.answers + books.unanswered >= round * 12).then_some(()))
        });
        waited.await.unwrap();
        proxy.cut_all();
    }
    load.await.unwrap();
    back_to_work(platform).await;
}

#[tokio::test]
async fn a_database_that_restarts_or_dies_under_load_loses_nothing_that_was_accepted() {
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let url = postgres.url();
    let settings = store::Settings { url: domain::Secret::from(url.as_str()), ..store::Settings::default() };
    let store = Store::connect(settings);
    store.migrate().await.unwrap();
    e2e::apply_usual_registry(&store).await.unwrap();
    let platform = Platform::on(Rig::on_database(&url, "").await).await;
    let load: Vec<_> = (0..4).map(|_| tokio::spawn(create_until(platform.asking.clone(), 60))).collect();
    let accepted = async |count| {
        let ledger = &platform.rig.ledger;
        poll_until(PATIENCE, async || Ok((ledger.books().accepted.len() >= count).then_some(())))
            .await
            .unwrap();
    };
    accepted(15).await;
    postgres.restart().await.unwrap();
    accepted(40).await;
    postgres.kill().unwrap();
    postgres.restart().await.unwrap();
    join_all(load).await;
    assert!(platform.rig.ledger.books().accepted.len() >= 60);
    back_to_work(platform).await;
}

/// Creates exports until all customers together have so many.
async fn create_until(asking: Asking, count: usize) {
    let asking = &asking;
    let created = keep_trying(|| async move {
        asking.create(1).await?;
        Ok((asking.list().await?.len() >= count).then_some(()))
    });
    created.await.unwrap();
}

/// A platform whose database is behind a proxy.
async fn behind_proxy(further: &str) -> (Platform, FaultProxy) {
    let proxy = OnceLock::new();
    let rig = Rig::in_places(further, async |places| {
        let (through, url) = proxied(&places.database_url).await?;
        places.database_url = url;
        proxy.set(through).expect("set once");
        Ok(())
    });
    let rig = rig.await;
    (Platform::on(rig).await, proxy.into_inner().unwrap())
}

fn create(asking: &Asking) -> reqwest::RequestBuilder {
    let body = json!({"name": "refused", "format": "json", "sources": wanted(1)});
    asking.request(Method::POST, "").json(&body)
}

/// Every kind of request is answered 503 with Retry-After, and soon.
async fn refuse_for_the_moment(platform: &Platform, export: &str, source: &str) {
    let Platform { asking, answering, .. } = platform;
    let asked = Instant::now();
    let requests = [
        create(asking),
        asking.request(Method::GET, ""),
        asking.request(Method::GET, &format!("/{export}/status")),
        asking.request(Method::GET, &format!("/{export}")),
        asking.request(Method::DELETE, &format!("/{export}")),
    ];
    for answer in join_all(requests.map(|request| asking.send(request))).await {
        expect_unavailable(&answer.unwrap());
    }
    expect_unavailable(&answering.upload_as(export, source, payload(source, 100)).await.unwrap());
    assert_eq!(answering.report(export, source).await.unwrap(), 503);
    assert!(asked.elapsed() < FAST, "it took {:?}", asked.elapsed());
}

/// All services get ready again by themselves, and everything comes to its end.
async fn back_to_work(mut platform: Platform) {
    for service in [Service::PublicApi, Service::InternalApi, Service::Dispatcher, Service::ExpiryReaper] {
        platform.program(service).wait_ready().await.unwrap();
    }
    platform.asking.create(1).await.unwrap();
    let database = platform.rig.database().await.unwrap();
    let sources = crate::audit::count(&database, "SELECT count(*) FROM resources").await.unwrap();
    crate::audit::wait_for_none(&database, "SELECT count(*) FROM outbox").await.unwrap();
    platform.deliver_all(usize::try_from(sources).unwrap()).await;
    platform.audit().await;
}
