//! Looking, listing, deleting, sweeping, and settings that do not fit.

use std::{fs, time::Instant};

use blobs::{Blobs, ConnectError, Settings, StorageError};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Clock, SystemClock};
use futures_util::TryStreamExt;

use crate::{
    on_every_store,
    place::{Place, new_key, s3_settings},
    sample::{MIB, json, noise},
};

on_every_store!(
    a_store_that_is_there_passes_the_check,
    deleting_and_aborting_what_is_not_there_is_fine,
    a_deleted_object_is_gone,
    a_listing_shows_what_lies_below_the_prefix_and_nothing_else,
);

async fn a_store_that_is_there_passes_the_check(place: Place) {
    place.blobs.check().await.unwrap();
}

async fn deleting_and_aborting_what_is_not_there_is_fine(place: Place) {
    let key = new_key();
    assert_eq!(place.blobs.size_of(&key).await.unwrap(), None);
    place.blobs.delete(&key).await.unwrap();
    place.blobs.abort(&key, "00000000000000000000000000000000").await.unwrap();
}

async fn a_deleted_object_is_gone(place: Place) {
    let object = place.put(&json(MIB)).await;
    let key = object.key();
    assert_eq!(place.blobs.size_of(&key).await.unwrap(), Some(object.stored_bytes()));
    for _ in 0..2 {
        place.blobs.delete(&key).await.unwrap();
        assert_eq!(place.blobs.size_of(&key).await.unwrap(), None);
    }
    assert_eq!(place.stored().await, []);
}

async fn a_listing_shows_what_lies_below_the_prefix_and_nothing_else(place: Place) {
    let before = SystemClock.now() - TimeDelta::seconds(5);
    place.put(&json(MIB)).await;
    place.put(&noise(6 * MIB, 13)).await;
    let listed: Vec<_> = place.blobs.list().try_collect().await.unwrap();
    assert_eq!(listed.len(), 2);
    for object in listed {
        assert_eq!(place.blobs.size_of(&object.key).await.unwrap(), Some(object.size_bytes));
        assert!(object.last_modified > before && object.key.as_str().starts_with("exports/"), "{object:?}");
    }
    let prefix = format!("{}/elsewhere", place.settings.prefix);
    let elsewhere = Blobs::connect(&Settings { prefix, ..place.settings.clone() }).unwrap();
    assert_eq!(elsewhere.list().try_collect::<Vec<_>>().await.unwrap(), []);
}

#[tokio::test]
async fn a_store_that_is_away_is_said_to_be_so_at_once() {
    let mut settings = s3_settings();
    settings.s3.endpoint = Some("http://127.0.0.1:9".into());
    let blobs = Blobs::connect(&settings).unwrap();
    let begun = Instant::now();
    let error = blobs.check().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(begun.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn a_store_that_refuses_us_is_told_from_one_that_is_away() {
    let mut settings = s3_settings();
    settings.s3.secret_access_key = Some("wrong".into());
    let error = Blobs::connect(&settings).unwrap().check().await.unwrap_err();
    assert!(matches!(error, StorageError::Refused { .. }), "{error:?}");

    let mut settings = s3_settings();
    settings.s3.bucket = "no-such-bucket".into();
    let error = Blobs::connect(&settings).unwrap().check().await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn settings_that_do_not_fit_are_refused_with_their_name() {
    for (name, section) in [
        ("s3.bucket", "kind = 's3'"),
        ("s3.access_key_id", "kind = 's3'\n[s3]\nbucket = 'exports'\naccess_key_id = 'id'"),
        ("azure.container", "kind = 'azure'"),
        ("gcs.bucket", "kind = 'gcs'"),
        ("prefix", "prefix = '../other'"),
        ("upload_memory", "upload_memory = '23MiB'"),
    ] {
        let settings: Settings = toml::from_str(section).unwrap();
        let error = Blobs::connect(&settings).unwrap_err();
        assert!(matches!(error, ConnectError::Setting { setting, .. } if setting == name), "{error:?}");
    }
}

#[tokio::test]
async fn what_an_upload_of_a_killed_process_left_in_the_folder_is_swept() {
    let place = Place::local();
    place.put(&json(10)).await;
    let kept = place.files();
    let unfinished = kept[0].with_file_name("0190163d#1");
    fs::write(&unfinished, "half").unwrap();
    let empty = kept[0].ancestors().nth(2).unwrap().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(place.stored().await.len(), 1, "a listing does not show it");

    assert_eq!(place.blobs.sweep_unfinished(DateTime::<Utc>::UNIX_EPOCH).await.unwrap(), 0);
    assert!(unfinished.exists() && empty.exists());

    let later = SystemClock.now() + TimeDelta::seconds(60);
    assert_eq!(place.blobs.sweep_unfinished(later).await.unwrap(), 1);
    assert_eq!(place.files(), kept);
    assert!(!empty.exists());
}

#[tokio::test]
async fn a_store_with_its_own_unfinished_uploads_has_nothing_to_sweep() {
    let place = Place::s3();
    assert_eq!(place.blobs.sweep_unfinished(SystemClock.now()).await.unwrap(), 0);
}
