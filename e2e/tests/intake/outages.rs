//! The database or object storage is away: records wait, none is given up, and work resumes by itself.

use e2e::AppSettings;
use testkit::{Fault, FaultProxy};

use crate::{
    endpoint::Behaviour,
    support::{Announcing, SILENCE, announcement},
};

/// Announces while what is behind `proxy` cannot be reached by intake.
async fn waited_for(announcing: Announcing, proxy: &FaultProxy) {
    let export = announcing.export(6).await;
    let url = announcing.endpoint.put("archive", Behaviour::Body(b"[1]".to_vec()));
    announcing.announce(&announcement(&export, 0, &url)).await;
    announcing.wait_source(&export, 0, "complete").await;
    proxy.set(Fault::Refuse);
    proxy.cut_all();
    for place in 1..6 {
        announcing.announce(&announcement(&export, place, &url)).await;
    }
    let waits = "announced_retries_total{fault=\"ours\",service=\"intake\"}";
    let waiting = testkit::poll_until(e2e::PATIENCE, async || {
        Ok(announcing.app.context.metrics().render().contains(waits).then_some(()))
    });
    waiting.await.unwrap();
    tokio::time::sleep(SILENCE).await;
    proxy.set(Fault::None);
    for place in 1..6 {
        announcing.wait_source(&export, place, "complete").await;
    }
    announcing.dead_letters(0).await;
    announcing.end().await;
}

#[tokio::test]
async fn records_wait_while_the_database_is_away() {
    let proxy = FaultProxy::bind().await.unwrap();
    let announcing = Announcing::behind(&proxy, AppSettings::database_through).await;
    Box::pin(waited_for(announcing, &proxy)).await;
}

#[tokio::test]
async fn records_wait_while_object_storage_is_away() {
    let proxy = FaultProxy::bind().await.unwrap();
    let announcing = Announcing::behind(&proxy, AppSettings::storage_through).await;
    Box::pin(waited_for(announcing, &proxy)).await;
}
