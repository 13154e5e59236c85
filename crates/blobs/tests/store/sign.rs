//! URLs of objects: their form, and that they work is in `e2e/tests/contract/announcements.rs`.

use std::{collections::BTreeMap, time::Duration};

use blobs::{AzureSettings, Kind, LocalSettings, ObjectKey, S3Settings, Settings, UrlSigner};
use domain::Secret;
use regex::Regex;

use crate::place::new_key;

/// What an existing consumer of announcements accepts (contract page 2), and nothing else.
const ACCEPTED: [&str; 2] = [
    r"^https://[^/]+\.s3\.amazonaws\.com/[0-9a-zA-Z/\-]+\?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=[^/]+$",
    r"^https://s3\.[0-9a-zA-Z\-]+\.amazonaws\.com/[0-9a-zA-Z/\-]+\?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=[^/]+$",
];

const DAY: Duration = Duration::from_hours(24);

fn amazon(region: &str, session_token: Option<&str>) -> Settings {
    let s3 = S3Settings {
        bucket: "exports-of-ours".to_owned(),
        region: Some(region.to_owned()),
        access_key_id: Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
        secret_access_key: Some(Secret::from("hunter2/hunter2")),
        session_token: session_token.map(Secret::from),
        ..S3Settings::default()
    };
    Settings { kind: Kind::S3, prefix: "eu/one".to_owned(), s3, ..Settings::default() }
}

async fn signed(settings: &Settings, key: &ObjectKey, valid_for: Duration) -> String {
    let signer = UrlSigner::connect(settings).unwrap().unwrap();
    assert!(!format!("{signer:?}").contains("hunter2"));
    let url = signer.sign(key, valid_for).await.unwrap();
    assert_eq!(format!("{url:?}"), "***", "whoever has it can fetch");
    url.expose().to_owned()
}

fn query(url: &str) -> BTreeMap<&str, &str> {
    let (_, query) = url.split_once('?').unwrap();
    query.split('&').map(|pair| pair.split_once('=').unwrap()).collect()
}

#[tokio::test]
async fn s2_3_a_url_of_amazon_s3_has_the_form_that_consumers_accept() {
    let key = new_key();
    for region in ["us-east-1", "eu-central-1", "us-gov-west-1"] {
        for token in [None, Some("a/session+token==")] {
            let url = signed(&amazon(region, token), &key, DAY).await;
            let accepted = ACCEPTED.iter().any(|pattern| Regex::new(pattern).unwrap().is_match(&url));
            assert!(accepted, "{url}");
            let begin = format!("https://s3.{region}.amazonaws.com/exports-of-ours/eu/one/{key}?");
            assert!(url.starts_with(&begin), "{url}");
            let query = query(&url);
            assert_eq!((query["X-Amz-Expires"], query["X-Amz-SignedHeaders"]), ("86400", "host"));
            assert_eq!(query["X-Amz-Signature"].len(), 64);
            assert_eq!(query.contains_key("X-Amz-Security-Token"), token.is_some());
            assert!(!url.contains("hunter2"));
        }
    }
}

#[tokio::test]
async fn a_url_is_valid_as_long_as_asked_for_and_no_longer_than_stores_sign() {
    let (key, settings) = (new_key(), amazon("us-east-1", None));
    for (valid_for, seconds) in [(Duration::from_millis(1999), "1"), (DAY, "86400"), (100 * DAY, "604800")] {
        assert_eq!(query(&signed(&settings, &key, valid_for).await)["X-Amz-Expires"], seconds);
    }
}

#[tokio::test]
async fn a_url_of_azure_is_a_shared_access_signature_to_read_that_one_blob() {
    let azure = AzureSettings {
        account: "ours".to_owned(),
        container: "exports".to_owned(),
        access_key: Some(Secret::from("aHVudGVyMmh1bnRlcjI=")),
        ..AzureSettings::default()
    };
    let settings = Settings { kind: Kind::Azure, azure, ..Settings::default() };
    let key = new_key();
    let url = signed(&settings, &key, DAY).await;
    assert!(url.starts_with(&format!("https://ours.blob.core.windows.net/exports/{key}?")), "{url}");
    let query = query(&url);
    assert_eq!((query["sp"], query["sr"]), ("r", "b"));
    assert!(query.contains_key("se") && query.contains_key("sv") && !query["sig"].is_empty(), "{url}");
}

#[tokio::test]
async fn local_files_have_no_urls_and_their_folder_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("objects");
    let local = LocalSettings { directory: directory.clone() };
    let settings = Settings { kind: Kind::Local, local, ..Settings::default() };
    assert!(UrlSigner::connect(&settings).unwrap().is_none());
    assert!(!directory.exists());
}
