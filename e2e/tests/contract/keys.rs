//! Keys of applications are replaced while they are used (S0-17).

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::{ApplicationName, KeyHash};
use e2e::{Customer, INTERNAL, PATIENCE, SOURCE_APPLICATION, TestApp, expect};
use reqwest::Method;
use testkit::poll_until;

use crate::support::{one_export, two_sources, usual};

#[tokio::test]
async fn s0_17_a_key_is_replaced_while_the_services_run() {
    let app = TestApp::start().await;
    let (store, name) = (app.store(), ApplicationName::parse(SOURCE_APPLICATION).unwrap());
    let old = store.registry().await.unwrap().keys.into_iter().find(|key| key.application == name).unwrap();
    let export = app.create(&Customer::new(), &two_sources()).await;
    let answers = async |source: usize, key: &str| {
        let path = format!("{}/upload", export.sources[source].path);
        app.answer(&usual().with_key(key), Method::POST, &path).body("[]").send().await.unwrap().status()
    };
    assert_eq!(answers(0, "successor").await, 401);
    let added = store.add_key(name.clone(), KeyHash::of(b"successor"), app.now()).await.unwrap();
    assert!(matches!(added, store::AddKeyOutcome::Added(_)), "{added:?}");
    let accepted = async || Ok((answers(0, "successor").await == 202).then_some(()));
    poll_until(PATIENCE, accepted).await.unwrap();
    assert_eq!(answers(0, &usual().key).await, 202, "the old one counts as well");

    assert!(store.withdraw_key(old.id).await.unwrap());
    let refused = async || Ok((answers(1, &usual().key).await == 401).then_some(()));
    poll_until(PATIENCE, refused).await.unwrap();
    assert_eq!(answers(1, "successor").await, 202);
    app.end().await;
}

/// Applications that call two replicas in turn, with the key that is theirs at the moment.
struct Load<'a> {
    app: &'a TestApp,
    replicas: [String; 2],
    path: String,
    key: Mutex<String>,
    answers: Mutex<BTreeMap<(String, u16), usize>>,
    stop: AtomicBool,
}

impl Load<'_> {
    async fn call(&self, replica: &str, key: &str) -> u16 {
        let call = self.app.http().post(format!("{replica}{INTERNAL}{}", self.path));
        call.header("x-rh-exports-psk", key).body("[]").send().await.unwrap().status().as_u16()
    }

    async fn run(&self) {
        for replica in self.replicas.iter().cycle() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let key = self.key.lock().unwrap().clone();
            let status = self.call(replica, &key).await;
            *self.answers.lock().unwrap().entry((key, status)).or_default() += 1;
        }
    }

    /// Waits until both replicas answer a call with `key` so.
    async fn all_answer(&self, key: &str, expected: u16) {
        for replica in &self.replicas {
            let answered = async || Ok((self.call(replica, key).await == expected).then_some(()));
            poll_until(PATIENCE, answered).await.unwrap();
        }
    }
}

#[tokio::test]
async fn s0_17_a_key_is_replaced_under_load_on_two_replicas_without_a_failed_request() {
    let (app, export) = one_export().await;
    expect(app.upload(&export.sources[0], "[]").await, 202).await;
    let (store, name) = (app.store(), ApplicationName::parse(SOURCE_APPLICATION).unwrap());
    let keys = async || store.registry().await.unwrap().keys;
    let old = keys().await.into_iter().find(|key| key.application == name).unwrap();
    let load = Load {
        app: &app,
        replicas: [app.internal_url.clone(), app.second_internal_api().await],
        path: format!("{}/upload", export.sources[0].path),
        key: Mutex::new(usual().key),
        answers: Mutex::default(),
        stop: AtomicBool::new(false),
    };
    // What operators are told to do.
    let replacing = async {
        let added = store.add_key(name.clone(), KeyHash::of(b"successor"), app.now()).await.unwrap();
        let store::AddKeyOutcome::Added(successor) = added else { panic!("{added:?}") };
        load.all_answer("successor", 202).await;
        "successor".clone_into(&mut load.key.lock().unwrap());
        let used = async || {
            let used = keys().await.into_iter().find(|key| key.id == successor).unwrap().last_used_at;
            Ok(used)
        };
        assert_eq!(poll_until(PATIENCE, used).await.unwrap(), app.now());
        assert!(store.withdraw_key(old.id).await.unwrap());
        load.all_answer(&usual().key, 401).await;
        load.stop.store(true, Ordering::Relaxed);
    };
    futures_util::join!(replacing, load.run(), load.run());
    let answers = load.answers.into_inner().unwrap();
    let told: Vec<_> = answers.keys().cloned().collect();
    let mut expected = [(usual().key, 202), ("successor".to_owned(), 202)];
    expected.sort();
    assert_eq!(told, expected, "{answers:?}");
    app.end().await;
}
