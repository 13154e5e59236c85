//! The internal API dies while more of a resumable upload arrives (S0-tus).

use testkit::poll_until;

use crate::{
    audit::QUIET_WITHIN, callers::Accepted, payload::payload, platform::Platform,
    program::Service::InternalApi,
};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn s0_tus_a_piece_whose_internal_api_dies_before_it_counts_is_sent_again() {
    let (platform, export, upload, bytes) = interrupted("internal-api::piece-stored").await;
    assert_eq!(platform.answering.offset(&upload).await.unwrap(), 0, "nothing was acknowledged");
    let audit = finish(&platform, &export, &upload, &bytes).await;
    assert_eq!(audit, (1, 3));
}

#[tokio::test]
async fn s0_tus_what_counted_when_its_internal_api_died_counts_still() {
    let (platform, export, upload, bytes) = interrupted("internal-api::piece-committed").await;
    assert_eq!(platform.answering.offset(&upload).await.unwrap(), MIB, "its first piece");
    let audit = finish(&platform, &export, &upload, &bytes).await;
    assert_eq!(audit, (1, 3));
}

/// An export with one source, whose resumable upload of two and a half pieces dies with its internal API, which
/// runs again.
async fn interrupted(failpoint: &str) -> (Platform, Accepted, String, Vec<u8>) {
    let mut platform = Platform::failing_at(InternalApi, failpoint).await;
    let export = platform.asking.create(1).await.unwrap();
    let source = &export.sources[0];
    let bytes = payload(source, 5 * MIB / 2);
    let upload = platform.answering.begin_resumable(&export.id, source, bytes.len()).await.unwrap();
    let answer = platform.answering.append(&upload, 0, bytes.clone()).await;
    assert!(answer.is_err(), "nobody answers: {answer:?}");
    platform.crash_and_restart(InternalApi).await;
    (platform, export, upload, bytes)
}

/// Goes on where the upload stands, as soon as the dead process gives way; archives and objects then.
async fn finish(platform: &Platform, export: &Accepted, upload: &str, bytes: &[u8]) -> (usize, usize) {
    let answering = &platform.answering;
    let finished = poll_until(QUIET_WITHIN, async || {
        let offset = answering.offset(upload).await?;
        let status = answering.append(upload, offset, bytes[offset..].to_vec()).await?;
        assert!([204, 423].contains(&status.as_u16()), "{status}");
        Ok((status == 204).then_some(()))
    });
    finished.await.unwrap();
    answering.delivered(&export.sources[0], bytes);
    let audit = platform.audit().await;
    (audit.archives, audit.objects)
}
