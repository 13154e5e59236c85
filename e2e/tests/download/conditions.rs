//! Parts of an archive, and conditions on it (RFC 9110, sections 13 and 14).

use e2e::TestApp;
use reqwest::Method;

use crate::support::{Part, ask, get, small_export};

const OTHER_TAG: &str = "\"00000000000000000000000000000000\"";

#[tokio::test]
async fn s0_46_one_range_is_answered_with_that_part() {
    let app = TestApp::start().await;
    let export = small_export(&app).await;
    let whole = get(&app, &export, &[]).await.body;
    let total = whole.len();
    for (range, part) in [
        ("bytes=0-0".to_owned(), 0..1),
        ("bytes=0-99".into(), 0..100),
        ("bytes=100-".into(), 100..total),
        ("bytes=-1".into(), total - 1..total),
        ("bytes=-100".into(), total - 100..total),
        (format!("bytes={}-", total - 1), total - 1..total),
        ("bytes=7-99999999999999999999999".into(), 7..total),
        (format!("bytes=-{}", total + 5), 0..total),
        ("BYTES=3-4".into(), 3..5),
    ] {
        let answer = get(&app, &export, &[("range", &range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        let told = format!("bytes {}-{}/{total}", part.start, part.end - 1);
        assert_eq!(answer.content_range.as_deref(), Some(told.as_str()), "{range}");
        assert_eq!(answer.content_length, Some(part.len()), "{range}");
        assert_eq!(answer.body, whole.slice(part), "{range}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_46_a_range_past_the_end_is_416_and_tells_the_size() {
    let app = TestApp::start().await;
    let export = small_export(&app).await;
    let total = get(&app, &export, &[]).await.body.len();
    for range in [
        format!("bytes={total}-"),
        "bytes=99999999-".into(),
        "bytes=-0".into(),
        "bytes=99999999999999999999-".into(),
    ] {
        let answer = get(&app, &export, &[("range", &range)]).await;
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.content_range, Some(format!("bytes */{total}")), "{range}");
        let refusal: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(refusal["code"], 416);
    }
    app.end().await;
}

#[tokio::test]
async fn s0_46_several_ranges_and_what_is_no_range_are_answered_with_all() {
    let app = TestApp::start().await;
    let export = small_export(&app).await;
    let whole = get(&app, &export, &[]).await;
    let huge = format!("bytes={}", "0-1,".repeat(5000));
    for range in
        ["bytes=0-1,5-6", "bytes=5-1", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes 0-1", "", &huge]
    {
        assert_eq!(get(&app, &export, &[("range", range)]).await, whole, "{}", &range[..range.len().min(50)]);
    }
    // Twice is not well-formed.
    assert_eq!(get(&app, &export, &[("range", "bytes=0-1"), ("range", "bytes=0-1")]).await, whole);
    app.end().await;
}

#[tokio::test]
async fn s0_46_if_range_gives_the_part_of_this_archive_or_all_of_another() {
    let app = TestApp::start().await;
    let export = small_export(&app).await;
    let whole = get(&app, &export, &[]).await;
    let (tag, weak) = (whole.etag.as_str(), format!("W/{}", whole.etag));
    let part = get(&app, &export, &[("range", "bytes=1-2"), ("if-range", tag)]).await;
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[1..3]));
    for other in [OTHER_TAG, &weak, "Sat, 21 Nov 2026 06:37:51 GMT", "garbage", "*"] {
        assert_eq!(
            get(&app, &export, &[("range", "bytes=1-2"), ("if-range", other)]).await,
            whole,
            "{other}"
        );
    }
    app.end().await;
}

#[tokio::test]
async fn s0_46_if_none_match_saves_a_download_that_the_client_has() {
    let app = TestApp::start().await;
    let export = small_export(&app).await;
    let whole = get(&app, &export, &[]).await;
    let (tag, weak) = (whole.etag.as_str(), format!("W/{}", whole.etag));
    let list = format!("{OTHER_TAG}, {tag}");
    for known in [tag, &weak, &list, "*"] {
        let answer = get(&app, &export, &[("if-none-match", known)]).await;
        assert_eq!((answer.status, answer.etag.as_str(), answer.body.len()), (304, tag, 0), "{known}");
    }
    for unknown in [OTHER_TAG, "garbage", ""] {
        assert_eq!(get(&app, &export, &[("if-none-match", unknown)]).await, whole, "{unknown}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_46_if_match_refuses_another_archive() {
    let app = TestApp::start().await;
    let export = small_export(&app).await;
    let whole = get(&app, &export, &[]).await;
    let (tag, weak) = (whole.etag.as_str(), format!("W/{}", whole.etag));
    for same in [tag, "*", &format!("{OTHER_TAG}, {tag}")] {
        assert_eq!(get(&app, &export, &[("if-match", same)]).await, whole, "{same}");
    }
    for other in [OTHER_TAG, &weak, "garbage"] {
        assert_eq!(get(&app, &export, &[("if-match", other)]).await.status, 412, "{other}");
        assert_eq!(get(&app, &export, &[("if-match", other), ("range", "bytes=0-1")]).await.status, 412);
    }
    app.end().await;
}

#[tokio::test]
async fn s0_46_head_tells_what_get_would_without_the_bytes() {
    let app = TestApp::start().await;
    let export = small_export(&app).await;
    let whole = get(&app, &export, &[]).await;
    let head = ask(&app, &export, Method::HEAD, &[]).await;
    assert_eq!(head, Part { body: bytes::Bytes::new(), ..whole.clone() });
    // By RFC 9110 a range means nothing to HEAD.
    assert_eq!(ask(&app, &export, Method::HEAD, &[("range", "bytes=0-1")]).await, head);
    let not_modified = ask(&app, &export, Method::HEAD, &[("if-none-match", &whole.etag)]).await;
    assert_eq!((not_modified.status, not_modified.body.len()), (304, 0));
    assert_eq!(ask(&app, &export, Method::HEAD, &[("if-match", OTHER_TAG)]).await.status, 412);
    app.end().await;
}

#[tokio::test]
async fn the_archive_is_never_compressed_again_nor_kept_by_caches() {
    let app = TestApp::start().await;
    let export = small_export(&app).await;
    let request =
        app.ask(&export.customer, Method::GET, &export.path()).header("accept-encoding", "gzip, br");
    let answer = request.send().await.unwrap();
    assert!(!answer.headers().contains_key("content-encoding"));
    assert_eq!(answer.headers()["cache-control"], "private, no-cache");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    app.end().await;
}
