//! Memory does not grow with the size of an archive.

use std::{sync::Arc, time::Duration};

use testkit::memory;

use crate::{
    endpoint::Behaviour,
    process::Program,
    support::{Announcing, announcement},
};

const MIB: u64 = 1 << 20;

/// The size of the archive.
const SIZE: u64 = 1024 * MIB;

/// What one hand-in may take, by the design of uploads, and what the connection of the fetch holds.
const HAND_IN: u64 = 26 * MIB;

/// What comes and goes by itself: code that is read in when it first runs, pools that grow.
const NOISE: u64 = 6 * MIB;

/// So many bytes that compress about 4:1.
fn archive(size_bytes: u64) -> Behaviour {
    let mut state = 7_u64;
    let piece = (0..64 << 10).flat_map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{{\"n\":{:03}}}\n", (state >> 33) % 1000).into_bytes()
    });
    Behaviour::Endless(size_bytes, Arc::new(piece.collect()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_a_gibibyte_is_handed_in_in_constant_memory() {
    let announcing = Announcing::without_intake(1, |_| ()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(&announcing, folder.path(), "").await;
    let export = announcing.export(2).await;
    // What a first one sets up stays.
    let url = announcing.endpoint.put("small", archive(32 * MIB));
    announcing.announce(&announcement(&export, 0, &url)).await;
    announcing.wait_source(&export, 0, "complete").await;
    let before = memory::resident_bytes(program.pid()).unwrap();
    memory::reset_peak(program.pid()).unwrap();
    let url = announcing.endpoint.put("large", archive(SIZE));
    announcing.announce(&announcement(&export, 1, &url)).await;
    let settled = "SELECT count(*) FROM resources WHERE status = 'complete'";
    while announcing.app.wait_for_count(settled, 2).await.is_err() {
        assert_eq!(announcing.endpoint.requests("large"), 1, "it is fetched once");
    }
    let grown = memory::peak_bytes(program.pid()).unwrap().saturating_sub(before);
    println!("{} MiB, and {} MiB more", before / MIB, grown / MIB);
    assert!(grown <= HAND_IN + NOISE, "a hand-in takes {} MiB", grown / MIB);
    assert_eq!(program.terminate(Duration::from_secs(12)).await, Some(0));
    announcing.end().await;
}
