//! The registry of applications and their keys.

use std::sync::Arc;

use domain::{ApplicationName, KeyHash, registry::Registry};
use serde_json::{Value, json};
use store::{AddKeyOutcome, ApplyOutcome, FollowedRegistry};

use crate::support::Fixture;

fn registry(applications: Value) -> Registry {
    serde_json::from_value(applications).unwrap()
}

fn name(text: &str) -> ApplicationName {
    ApplicationName::parse(text).unwrap()
}

/// The hash of a key, and as a file has it.
fn hash(key: &str) -> (KeyHash, String) {
    let hash = KeyHash::of(key.as_bytes());
    let digits = hash.as_bytes().map(|byte| format!("{byte:02x}")).concat();
    (hash, digits)
}

impl Fixture {
    async fn apply(&self, applications: Value) -> Vec<String> {
        match self.store.apply_registry(registry(applications), self.now()).await.unwrap() {
            ApplyOutcome::Applied(changes) => changes.iter().map(ToString::to_string).collect(),
            ApplyOutcome::TooManyKeys(name) => panic!("{name} has too many keys"),
        }
    }

    /// The owners of the live keys, and the first digits of those.
    async fn keys(&self) -> Vec<(String, String)> {
        let known = self.store.registry().await.unwrap();
        known.keys.iter().map(|key| (key.application.to_string(), key.hash.fingerprint())).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_is_read_and_applying_it_again_changes_nothing() {
    let fixture = Fixture::new().await;
    let (key, digits) = hash("one");
    let file = json!({"a": {"title": "A", "keys_sha256": [digits], "resources": {"r": {"answer_within": "1h"}}}, "b": {}});
    let wanted = registry(file.clone());
    let shown = fixture.store.registry_changes(wanted.clone()).await.unwrap();
    assert_eq!(fixture.keys().await, [], "to look changes nothing");
    let changed = fixture.apply(file.clone()).await;
    assert_eq!(changed, shown.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert!(changed.contains(&format!(r#"+ a.keys_sha256: ["{}"]"#, key.fingerprint())), "{changed:?}");

    let read = fixture.store.registry().await.unwrap();
    assert_eq!(read.revision, 1);
    assert_eq!(read.keys[0].hash, key);
    let resource = domain::ResourceName::parse("r").unwrap();
    assert_eq!(
        read.registry.application(&name("a")).unwrap().resources.get(&resource),
        wanted.application(&name("a")).unwrap().resources.get(&resource)
    );
    assert_eq!(fixture.apply(file).await, [""; 0]);
    assert_eq!(fixture.store.registry_revision().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_file_come_and_go_with_it_and_those_made_by_command_stay() {
    let fixture = Fixture::new().await;
    let ((made, _), (old, old_digits), (new, new_digits)) = (hash("made"), hash("old"), hash("new"));
    fixture.apply(json!({"a": {"keys_sha256": [old_digits]}, "b": {}})).await;
    let added = fixture.store.add_key(name("a"), made.clone(), fixture.now()).await.unwrap();
    assert!(matches!(added, AddKeyOutcome::Added(_)), "{added:?}");

    fixture.apply(json!({"a": {"keys_sha256": [new_digits]}, "b": {}})).await;
    let mut keys = fixture.keys().await;
    keys.sort();
    let mut expected = [&made, &new].map(|key| ("a".to_owned(), key.fingerprint()));
    expected.sort();
    assert_eq!(keys, expected, "and not {}", old.fingerprint());

    let told = fixture.apply(json!({"b": {}})).await;
    for key in [&made, &new] {
        assert!(
            told.iter().any(|line| line.contains(&key.fingerprint())),
            "who goes by that is told: {told:?}"
        );
    }
    assert_eq!(fixture.keys().await, [], "the application is gone, and its keys with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_has_two_keys_at_most() {
    let fixture = Fixture::new().await;
    fixture.apply(json!({"a": {"keys_sha256": [hash("file").1]}})).await;
    let add = async |application: &str, key: &str| {
        fixture.store.add_key(name(application), hash(key).0, fixture.now()).await.unwrap()
    };
    assert_eq!(add("b", "x").await, AddKeyOutcome::NoApplication);
    assert_eq!(add("a", "file").await, AddKeyOutcome::Known);
    let AddKeyOutcome::Added(made) = add("a", "made").await else { panic!("it is the second one") };
    assert_eq!(add("a", "third").await, AddKeyOutcome::TooManyKeys);
    let third = json!({"a": {"keys_sha256": [hash("file").1, hash("other").1]}});
    let refused = fixture.store.apply_registry(registry(third), fixture.now()).await.unwrap();
    assert_eq!(refused, ApplyOutcome::TooManyKeys(name("a")));

    let before = fixture.store.registry_revision().await.unwrap();
    assert!(fixture.store.withdraw_key(made).await.unwrap());
    assert!(!fixture.store.withdraw_key(made).await.unwrap());
    assert_eq!(fixture.store.registry_revision().await.unwrap(), before + 1);
    assert!(matches!(add("a", "third").await, AddKeyOutcome::Added(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_key_was_used_last_is_noted_and_never_earlier() {
    let fixture = Fixture::new().await;
    fixture.apply(json!({"a": {"keys_sha256": [hash("one").1]}})).await;
    let used = async || fixture.store.registry().await.unwrap().keys[0].last_used_at;
    let id = fixture.store.registry().await.unwrap().keys[0].id;
    assert_eq!(used().await, None);
    let (now, before) = (fixture.now(), fixture.now() - chrono::TimeDelta::minutes(1));
    for at in [now, before] {
        fixture.store.note_keys_used(vec![(id, at)]).await.unwrap();
        assert_eq!(used().await, Some(now));
    }
    assert_eq!(fixture.store.registry_revision().await.unwrap(), 1, "it is no change");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_the_registry_knows_it_from_then_on_and_reads_it_only_when_it_changed() {
    let fixture = Fixture::new().await;
    let followed = FollowedRegistry::new(fixture.store.clone());
    assert!(followed.current().unwrap_err().is_transient());
    followed.refresh().await.unwrap();
    let empty = followed.current().unwrap();
    assert_eq!(empty.registry.applications().count(), 0);
    followed.refresh().await.unwrap();
    assert!(Arc::ptr_eq(&empty, &followed.current().unwrap()));
    fixture.apply(json!({"a": {}})).await;
    followed.refresh().await.unwrap();
    assert_eq!(followed.current().unwrap().registry.applications().count(), 1);
}
