//! Programs die at random moments under mixed load.
//!
//! `CHAOS_KILLS` says how often (`scripts/chaos` sets it), `CHAOS_SEED` which ones and when.

use std::{str::FromStr, time::Duration};

use testkit::poll_until;

use crate::{
    load::Load,
    payload::Numbers,
    platform::Platform,
    program::{Program, Service},
    rig::Rig,
};

/// How often in the suite.
const KILLS: usize = 50;

/// How many exports customers try to create between two kills.
const EXPORTS_PER_KILL: usize = 8;

/// How long a kill waits for the load to get on, in case that it cannot.
const PROGRESS_WITHIN: Duration = Duration::from_secs(2);

/// Lingers now and then between a commit and its effect, where a kill is the most interesting.
pub(crate) const LINGERING: &str = "public-api::created=20%sleep(20);public-api::deleted=20%sleep(20);\
    receive::upload-begun=10%sleep(20);receive::multipart-noted=50%sleep(20);\
    receive::object-stored=20%sleep(20);receive::settled=20%sleep(20);\
    internal-api::error-settled=20%sleep(20);dispatcher::leased=30%sleep(50);dispatcher::sent=30%sleep(50);\
    expiry-reaper::released=30%sleep(50);expiry-reaper::uploads-ended=50%sleep(50);\
    expiry-reaper::objects-leased=30%sleep(50);expiry-reaper::objects-deleted=30%sleep(50)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_killed_at_random_moments_under_load_lose_nothing() {
    let (kills, seed) = (setting("CHAOS_KILLS", KILLS), setting("CHAOS_SEED", 20_261_121_u64));
    let rig = Rig::new().await.with_environment(&[("FAILPOINTS", LINGERING)]);
    let mut platform = Platform::on(rig).await;
    let mut second = platform.rig.start(Service::Dispatcher).await;
    let mut numbers = Numbers::from_seed(seed);
    let Platform { asking, answering, rig, .. } = &platform;
    let mut load = Load::start(asking, answering, &rig.ledger, rig.topic.all(), seed);
    for _ in 0..kills {
        load.allow(EXPORTS_PER_KILL);
        wait_for_progress(&platform, numbers.below(40)).await;
        let program = match numbers.below(6) {
            0 | 1 => &mut platform.public,
            2 | 3 => &mut platform.internal,
            4 if numbers.below(2) == 0 => &mut second,
            4 => &mut platform.dispatcher,
            _ => &mut platform.reaper,
        };
        kill_and_restart(program).await;
    }
    load.end_customers().await;
    let audit = platform.audit().await;
    let books = platform.rig.ledger.books();
    assert!(books.accepted.len() >= kills, "there was load: {} exports", books.accepted.len());
    println!(
        "{kills} kills (seed {seed}): {} exports accepted, {} deleted, {} uploads and {} errors acknowledged, \
         {} answers, {} requests without one, {} answered 503",
        books.accepted.len(),
        books.deletions.len(),
        books.delivered.len(),
        books.failed.len(),
        books.answers,
        books.unanswered,
        books.unavailable
    );
    println!("{audit:?}");
}

async fn kill_and_restart(program: &mut Program) {
    program.kill();
    program.restart().await.unwrap();
}

/// Waits until so many further requests were answered, or failed.
async fn wait_for_progress(platform: &Platform, requests: usize) {
    let done = || platform.rig.ledger.note(|books| books.answers + books.unanswered);
    let until = done() + requests;
    // Without progress it is as good a moment as any.
    let _ = poll_until(PROGRESS_WITHIN, async || Ok((done() >= until).then_some(()))).await;
}

/// The number that an environment variable sets, or `default`.
pub(crate) fn setting<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
