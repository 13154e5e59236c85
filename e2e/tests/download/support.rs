//! Exports to download, and bytes that do not compress.

use bytes::Bytes;
use e2e::{Customer, Export, SOURCE_APPLICATION, TestApp, expect};
use reqwest::Method;
use serde_json::{Value, json};

/// A request for so many sources.
pub(crate) fn wanted(sources: usize) -> Value {
    let source = json!({"application": SOURCE_APPLICATION, "resource": "exampleResource"});
    json!({"name": "Nightly", "format": "json", "sources": vec![source; sources]})
}

/// A complete export of two small files.
pub(crate) async fn small_export(app: &TestApp) -> Export {
    app.complete(&Customer::new(), &wanted(2), |place| format!("[{place}]").repeat(100)).await
}

/// A complete export of one file of so many bytes, which do not compress.
pub(crate) async fn large_export(app: &TestApp, size_bytes: usize) -> (Export, Bytes) {
    let export = app.create(&Customer::new(), &wanted(1)).await;
    let bytes = Bytes::from(noise(size_bytes));
    expect(app.upload(&export.sources[0], bytes.clone()).await, 202).await;
    (export, bytes)
}

/// Bytes that look random; always the same (`SplitMix64`).
pub(crate) fn noise(size_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_bytes + 8);
    let mut state = 7_u64;
    while bytes.len() < size_bytes {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes.truncate(size_bytes);
    bytes
}

/// An answer about the archive, as far as tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) status: u16,
    pub(crate) etag: String,
    pub(crate) content_range: Option<String>,
    pub(crate) content_length: Option<usize>,
    pub(crate) body: Bytes,
}

/// Asks for the archive of `export` with these headers.
pub(crate) async fn ask(app: &TestApp, export: &Export, method: Method, headers: &[(&str, &str)]) -> Part {
    let mut request = app.ask(&export.customer, method, &export.path());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let text = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    Part {
        status: response.status().as_u16(),
        etag: text("etag").unwrap_or_default(),
        content_range: text("content-range"),
        content_length: text("content-length").map(|length| length.parse().unwrap()),
        body: response.bytes().await.unwrap(),
    }
}

/// As [`ask`] by GET.
pub(crate) async fn get(app: &TestApp, export: &Export, headers: &[(&str, &str)]) -> Part {
    ask(app, export, Method::GET, headers).await
}
