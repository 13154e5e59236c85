//! Several intakes share a topic, and one takes over from another that dies.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    endpoint::Behaviour,
    process::Program,
    support::{Announcing, announcement},
};

const SOURCES: usize = 40;

#[tokio::test]
async fn two_intakes_share_and_one_takes_over_what_the_other_leaves() {
    let announcing = Announcing::without_intake(4, |_| ()).await;
    let folder = tempfile::tempdir().unwrap();
    let (mut first, mut second) = tokio::join!(
        Program::start(&announcing, folder.path(), ""),
        Program::start(&announcing, folder.path(), "")
    );
    let export = announcing.export(SOURCES).await;
    let service = announcing.settings.announce.consume_service.clone();
    for place in 0..SOURCES {
        let slow = Behaviour::Slow(Duration::from_millis(300), format!("[{place}]").into_bytes());
        let url = announcing.endpoint.put(&format!("{place}"), slow);
        announcing.announce(&announcement(&export, place, &url)).await;
        announcing.send(&service, format!("nothing to read, {place}").into_bytes()).await;
    }
    // In the midst of it.
    announcing.wait_source(&export, 0, "complete").await;
    first.kill();
    for place in 0..SOURCES {
        announcing.wait_source(&export, place, "complete").await;
    }
    let archive = announcing.app.download(&export).await;
    for (place, source) in export.sources.iter().enumerate() {
        assert_eq!(archive.text(&format!("{}.json", source.id)), format!("[{place}]"));
    }
    assert_eq!(second.terminate(Duration::from_secs(12)).await, Some(0));
    // One whose letter was stored and whose offset was not committed has two.
    let letters = announcing.at_least_dead_letters(SOURCES).await;
    let origins: BTreeSet<_> = letters.into_iter().map(|letter| letter.origin).collect();
    assert_eq!(origins.len(), SOURCES);
    announcing.app.clock.advance(chrono::TimeDelta::days(1));
    announcing.end().await;
}
