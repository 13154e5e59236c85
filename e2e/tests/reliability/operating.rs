//! What operators do with applications and their keys, by the command that they have (S1-1, S0-17).

use std::fs;

use domain::KeyHash;
use e2e::{INTERNAL, PATIENCE, SOURCE_APPLICATION};
use testkit::poll_until;

use crate::{
    program::{Program, Service, administrate},
    rig::Rig,
};

/// Runs the command on `rig`; whether it succeeded, and what it said.
async fn admin(rig: &Rig, arguments: &[&str]) -> (bool, String) {
    let (status, said) = administrate(&rig.launch_with(&[]), arguments).await.unwrap();
    (status.success(), said)
}

/// The status that a call with `key` for a source that does not exist is answered with: 404 for a good one.
async fn answer(rig: &Rig, internal: &Program, key: &str) -> anyhow::Result<u16> {
    let id = "00000000-0000-4000-8000-000000000000";
    let url = format!("{}{INTERNAL}/{id}/{SOURCE_APPLICATION}/{id}/upload", internal.url());
    Ok(rig.http.post(url).header("x-rh-exports-psk", key).send().await?.status().as_u16())
}

async fn wait_for_answer(rig: &Rig, internal: &Program, key: &str, expected: u16) {
    let answered = async || Ok((answer(rig, internal, key).await? == expected).then_some(()));
    poll_until(PATIENCE, answered).await.unwrap();
}

#[tokio::test]
async fn s0_17_a_key_is_drawn_by_command_shown_once_listed_and_withdrawn() {
    let rig = Rig::new().await;
    let internal = rig.start(Service::InternalApi).await;
    let (drawn, said) = admin(&rig, &["keys", "create", SOURCE_APPLICATION]).await;
    assert!(drawn, "{said}");
    let is_key = |line: &&str| line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = said.lines().find(is_key).unwrap().to_owned();
    wait_for_answer(&rig, &internal, &key, 404).await;

    let (refused, said) = admin(&rig, &["keys", "create", SOURCE_APPLICATION]).await;
    assert!(!refused && said.contains("has two keys"), "{said}");
    let (refused, said) = admin(&rig, &["keys", "create", "unheard-of"]).await;
    assert!(!refused && said.contains("there is no application"), "{said}");

    let fingerprint = KeyHash::of(key.as_bytes()).fingerprint();
    let listed = async || {
        let (_, said) = admin(&rig, &["keys", "list"]).await;
        assert!(!said.contains(&key), "it is shown once");
        let line = said.lines().find(|line| line.contains(&fingerprint)).unwrap().to_owned();
        assert!(line.contains(SOURCE_APPLICATION) && line.contains("\tcommand\t"), "{line}");
        Ok((!line.ends_with("never")).then_some(line))
    };
    let line = poll_until(PATIENCE, listed).await.unwrap();
    let id = line.split('\t').next().unwrap();
    let (withdrawn, said) = admin(&rig, &["keys", "revoke", id]).await;
    assert!(withdrawn && said.contains("withdrawn"), "{said}");
    wait_for_answer(&rig, &internal, &key, 401).await;
    let (again, said) = admin(&rig, &["keys", "revoke", id]).await;
    assert!(!again && said.contains("there is no key"), "{said}");
}

#[tokio::test]
async fn s1_1_a_registry_is_shown_before_it_is_applied_and_nothing_is_taken_by_an_empty_file() {
    let rig = Rig::new().await;
    let file = rig.launch_with(&[]).folder.join("applications.toml");
    let apply = async |text: &str, further: &[&str]| {
        fs::write(&file, text).unwrap();
        let arguments = [&["registry", "apply", file.to_str().unwrap()], further].concat();
        admin(&rig, &arguments).await
    };
    let (_, drawn) = admin(&rig, &["keys", "create", SOURCE_APPLICATION]).await;
    let key = drawn.lines().find(|line| line.len() == 64).unwrap();
    let fingerprint = KeyHash::of(key.as_bytes()).fingerprint();

    let (applied, said) = apply("", &[]).await;
    assert!(!applied && said.contains("lists no application"), "{said}");
    let (shown, said) = apply("[applications.newcomer]\nowner = \"Team New\"\n", &["--dry-run"]).await;
    assert!(shown && said.contains("+ newcomer.owner: \"Team New\"") && said.contains("would be"), "{said}");
    assert!(
        said.contains(&format!("- {SOURCE_APPLICATION}.keys_sha256")) && said.contains(&fingerprint),
        "{said}"
    );
    let (_, said) = admin(&rig, &["keys", "list"]).await;
    assert!(said.contains(&fingerprint), "to look changes nothing: {said}");

    let (applied, said) = apply("[applications.newcomer]\nowner = \"Team New\"\n", &[]).await;
    assert!(applied && said.contains("settings were changed"), "{said}");
    let (_, said) = admin(&rig, &["keys", "list"]).await;
    assert!(!said.contains(&fingerprint), "{said}");
    let (applied, said) = apply("[applications.newcomer]\ntitel = \"T\"\n", &[]).await;
    assert!(!applied && said.contains("titel"), "{said}");
}
