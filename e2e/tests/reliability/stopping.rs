//! SIGTERM under load: what was accepted is finished or handed back, nobody gets a 5xx, and the process ends in
//! time with 0.

use std::time::{Duration, Instant};

use e2e::sha256_hex;
use futures_util::future::{join_all, try_join_all};
use reqwest::{Body, Method};
use testkit::poll_until;
use tokio::sync::mpsc;

use crate::{
    audit::count,
    callers::Asking,
    payload::{IN_PARTS, held_back, payload},
    platform::Platform,
    program::{Service, readiness},
    rig::Rig,
};

const SOON: Duration = Duration::from_secs(30);

/// `lifecycle.stop_timeout` of the rigs here.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_public_api_that_stops_under_load_loses_no_accepted_export() {
    let mut platform = Platform::start().await;
    let customers: Vec<_> =
        (0..8).map(|_| tokio::spawn(create_until_refused(platform.asking.clone()))).collect();
    wait_for_answers(&platform, 100).await;
    assert_eq!(platform.public.terminate(STOP_TIMEOUT).await.code(), Some(0));
    join_all(customers).await;
    let books = platform.rig.ledger.books();
    assert_eq!((books.unavailable, books.broken), (0, Vec::new()));
    platform.public.restart().await.unwrap();
    // Those whose answer was cut off count as well.
    let database = platform.rig.database().await.unwrap();
    let events = count(&database, "SELECT count(*) FROM resources").await.unwrap();
    platform.deliver_all(usize::try_from(events).unwrap()).await;
    assert_eq!(platform.audit().await.archives, books.accepted.len());
}

async fn create_until_refused(asking: Asking) {
    while let Ok(export) = asking.create(1).await {
        if asking.status(&export.id).await.is_err() {
            break;
        }
    }
}

async fn wait_for_answers(platform: &Platform, answers: usize) {
    let ledger = &platform.rig.ledger;
    poll_until(SOON, async || Ok((ledger.books().answers >= answers).then_some(()))).await.unwrap();
}

#[tokio::test]
async fn an_internal_api_that_stops_finishes_its_uploads() {
    let mut platform = Platform::start().await;
    let export = platform.asking.create(4).await.unwrap();
    let mut uploads = Vec::new();
    for source in &export.sources {
        let (chunks, body) = mpsc::channel(1);
        let (answering, body) = (platform.answering.clone(), Body::wrap_stream(held_back(body)));
        let (id, to) = (export.id.clone(), source.clone());
        let answer = tokio::spawn(async move { answering.upload_as(&id, &to, body).await });
        let mut bytes = payload(source, 2 * IN_PARTS);
        let rest = bytes.split_off(IN_PARTS);
        chunks.send(bytes).await.unwrap();
        uploads.push((source, chunks, rest, answer));
    }
    let database = platform.rig.database().await.unwrap();
    let begun = "SELECT count(*) FROM upload_attempts";
    poll_until(SOON, async || Ok((count(&database, begun).await? == 4).then_some(()))).await.unwrap();
    let Platform { internal, rig, answering, .. } = &mut platform;
    let ops = internal.ops();
    let stopping = internal.terminate(STOP_TIMEOUT);
    let finishing = async {
        // Whoever comes now is not let in.
        let late = export.sources[0].clone();
        let turned_away =
            poll_until(SOON, async || Ok(answering.report("x", &late).await.is_err().then_some(())));
        turned_away.await.unwrap();
        let (status, readiness) = readiness(&rig.http, ops).await.unwrap();
        assert_eq!((status.as_u16(), &readiness["phase"]), (503, &serde_json::json!("stopping")));
        for (source, chunks, rest, answer) in uploads {
            chunks.send(rest).await.unwrap();
            drop(chunks);
            assert_eq!(answer.await.unwrap().unwrap().status(), 202);
            let sha256 = sha256_hex(payload(source, 2 * IN_PARTS));
            rig.ledger.note(|books| books.delivered.insert(source.clone(), sha256));
        }
    };
    let (status, ()) = tokio::join!(stopping, finishing);
    assert_eq!(status.code(), Some(0));
    assert_eq!(platform.audit().await.archives, 1);
}

#[tokio::test]
async fn a_public_api_that_stops_finishes_its_downloads() {
    let mut platform = Platform::start().await;
    let export = platform.asking.create(2).await.unwrap();
    for source in &export.sources {
        let bytes = payload(source, 2 * IN_PARTS);
        assert_eq!(platform.answering.upload(&export.id, source, bytes).await.unwrap(), 202);
    }
    let whole = platform.asking.download(&export.id).await.unwrap();
    let request = platform.asking.request(Method::GET, &format!("/{}", export.id));
    let mut download = platform.asking.send(request).await.unwrap();
    let mut bytes = download.chunk().await.unwrap().unwrap().to_vec();
    let asking = platform.asking.clone();
    let stopping = platform.public.terminate(STOP_TIMEOUT);
    let reading = async {
        poll_until(SOON, async || Ok(asking.list().await.is_err().then_some(()))).await.unwrap();
        while let Some(chunk) = download.chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
    };
    let (status, ()) = tokio::join!(stopping, reading);
    assert_eq!(status.code(), Some(0));
    assert!(bytes == whole, "{} of {} bytes came", bytes.len(), whole.len());
}

#[tokio::test]
async fn an_upload_that_does_not_end_does_not_hold_up_the_stop() {
    let mut platform = Platform::on(Rig::with("[lifecycle]\nstop_timeout = \"6s\"").await).await;
    let export = platform.asking.create(1).await.unwrap();
    let source = &export.sources[0];
    let (chunks, body) = mpsc::channel(1);
    let body = Body::wrap_stream(held_back(body));
    let (answering, id, to) = (platform.answering.clone(), export.id.clone(), source.clone());
    let answer = tokio::spawn(async move { answering.upload_as(&id, &to, body).await });
    chunks.send(payload(source, IN_PARTS)).await.unwrap();
    let database = platform.rig.database().await.unwrap();
    let begun = "SELECT count(*) FROM upload_attempts WHERE store_upload_id IS NOT NULL";
    poll_until(SOON, async || Ok((count(&database, begun).await? == 1).then_some(()))).await.unwrap();
    let asked = Instant::now();
    assert_eq!(platform.internal.terminate(STOP_TIMEOUT).await.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(8), "it took {:?}", asked.elapsed());
    let answer = answer.await.unwrap();
    assert!(answer.is_err(), "the connection broke: {answer:?}");
    platform.internal.restart().await.unwrap();
    assert_eq!(platform.answering.upload(&export.id, source, payload(source, 9)).await.unwrap(), 202);
    assert_eq!(platform.audit().await.objects, 1);
}

#[tokio::test]
async fn a_dispatcher_that_stops_under_load_sends_nothing_twice() {
    let mut platform = Platform::on(Rig::with("[dispatcher]\nbatch = 20").await).await;
    let load = {
        let asking = platform.asking.clone();
        tokio::spawn(async move { try_join_all((0..200).map(|_| asking.create(2))).await.map(drop) })
    };
    for round in 1..=3 {
        platform.rig.topic.wait_for(round * 40).await;
        assert_eq!(platform.dispatcher.terminate(STOP_TIMEOUT).await.code(), Some(0));
        platform.dispatcher.restart().await.unwrap();
    }
    load.await.unwrap().unwrap();
    platform.deliver_all(400).await;
    let audit = platform.audit().await;
    assert_eq!((audit.events, audit.copies), (400, 0));
}

#[tokio::test]
async fn an_expiry_reaper_that_stops_under_load_leaves_its_work_to_the_next() {
    let mut platform = Platform::on(Rig::with("[expiry_reaper]\nbatch = 5").await).await;
    let exports = try_join_all((0..30).map(|_| platform.asking.create(2))).await.unwrap();
    platform.deliver_all(60).await;
    let answers = join_all(exports[..29].iter().map(|export| platform.asking.delete(&export.id))).await;
    assert!(answers.iter().all(|answer| *answer.as_ref().unwrap() == 202));
    platform.reaper.wait_metric("reaper_objects_total", "", 1.0).await;
    assert_eq!(platform.reaper.terminate(STOP_TIMEOUT).await.code(), Some(0));
    platform.reaper.restart().await.unwrap();
    assert_eq!(platform.audit().await.objects, 2);
}

#[tokio::test]
async fn services_that_wait_for_their_database_stop_at_once() {
    let rig = Rig::in_places("", async |places| {
        // Nobody listens there.
        places.database_url = "postgres://nobody:secret@127.0.0.1:1/none".to_owned();
        Ok(())
    })
    .await;
    for service in [Service::PublicApi, Service::InternalApi, Service::Dispatcher, Service::ExpiryReaper] {
        let mut program = rig.start_unready(service).await;
        let asked = Instant::now();
        assert_eq!(program.terminate(STOP_TIMEOUT).await.code(), Some(0), "{service:?}");
        assert!(asked.elapsed() < Duration::from_secs(6), "{service:?} took {:?}", asked.elapsed());
    }
}
