//! Starting: before what a service needs is there, several migrations at once, settings that cannot work.

use std::{fs, path::Path, process::ExitStatus};

use anyhow::Result;
use e2e::{PATIENCE, SOURCE_APPLICATION};
use reqwest::StatusCode;
use testkit::{Fault, FaultProxy, TestDatabase, poll_until};

use crate::{
    audit::count,
    platform::Platform,
    program::{Service, administrate, spawn},
    rig::{Rig, connect},
};

const TABLES: &str = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";

#[tokio::test]
async fn services_that_start_before_their_database_wait_for_it_and_then_work() {
    let proxy = std::sync::OnceLock::new();
    let rig = Rig::in_places("", async |places| {
        let (through, url) = proxied(&places.database_url).await?;
        through.set(Fault::Refuse);
        places.database_url = url;
        proxy.set(through).expect("set once");
        Ok(())
    })
    .await;
    let (mut public, mut internal, mut dispatcher, mut reaper) = tokio::join!(
        rig.start_unready(Service::PublicApi),
        rig.start_unready(Service::InternalApi),
        rig.start_unready(Service::Dispatcher),
        rig.start_unready(Service::ExpiryReaper)
    );
    for program in [&public, &internal, &dispatcher, &reaper] {
        program.wait_unready("postgres").await;
    }
    let asking = rig.asking(&public);
    let refused = asking.send(asking.request(reqwest::Method::GET, "")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));

    proxy.get().unwrap().set(Fault::None);
    for program in [&mut public, &mut internal, &mut dispatcher, &mut reaper] {
        program.wait_ready().await.unwrap();
    }
    let answering = rig.answering(&internal);
    let platform = Platform { public, internal, dispatcher, reaper, asking, answering, rig };
    platform.asking.create(2).await.unwrap();
    platform.deliver_all(2).await;
    platform.audit().await;
}

#[tokio::test]
async fn services_that_start_before_the_migrations_say_so_and_then_work() {
    let database = TestDatabase::create().await.unwrap();
    let rig = Rig::on_database(&database.url(), "").await;
    let mut public = rig.start_unready(Service::PublicApi).await;
    let waited = poll_until(PATIENCE, async || {
        let (status, body) = public.readiness().await?;
        let reason = body["checks"]["postgres"]["reason"].as_str().unwrap_or_default().to_owned();
        Ok((status == 503 && reason.contains("migrations are missing")).then_some(()))
    });
    waited.await.unwrap();
    let (status, said) = migrate(&rig, &[]).await.unwrap();
    assert!(status.success() && said.starts_with("applied "), "{said}");
    public.wait_ready().await.unwrap();
    assert!(rig.asking(&public).create(1).await.is_err(), "nobody offers anything yet");

    let launch = rig.launch_with(&[]);
    let file = launch.folder.join("applications.toml");
    fs::write(&file, format!("[applications.{SOURCE_APPLICATION}.resources.exampleResource]")).unwrap();
    let (status, said) = administrate(&launch, &["registry", "apply", file.to_str().unwrap()]).await.unwrap();
    assert!(status.success(), "{said}");
    assert!(said.contains(&format!("+ {SOURCE_APPLICATION}.resources.exampleResource: {{}}")), "{said}");
    let offered = async || Ok(rig.asking(&public).create(1).await.ok());
    poll_until(PATIENCE, offered).await.unwrap();
}

#[tokio::test]
async fn two_migrations_at_once_take_turns_and_a_third_finds_nothing_to_do() {
    let database = TestDatabase::create().await.unwrap();
    let rig = Rig::on_database(&database.url(), "").await;
    // The first holds the lock for a while, so that the second has to wait.
    let slow = [("FAILPOINTS", "store::migrating=sleep(500)")];
    let (first, second) = tokio::join!(migrate(&rig, &slow), migrate(&rig, &slow));
    let mut said = [first.unwrap(), second.unwrap()].map(|(status, said)| {
        assert!(status.success(), "{said}");
        said
    });
    said.sort();
    assert!(said[0].starts_with("applied ") && said[1].starts_with("nothing to do"), "{said:?}");
    let (status, said) = migrate(&rig, &[]).await.unwrap();
    assert!(status.success() && said.starts_with("nothing to do"), "{said}");
}

#[tokio::test]
async fn a_migration_that_dies_can_be_run_again() {
    let database = TestDatabase::create().await.unwrap();
    let rig = Rig::on_database(&database.url(), "").await;
    let client = connect(&database.url()).await.unwrap();
    let (status, _) = migrate(&rig, &[("FAILPOINTS", "store::migrating=return")]).await.unwrap();
    assert!(!status.success());
    assert_eq!(count(&client, TABLES).await.unwrap(), 0);
    let (status, _) = migrate(&rig, &[("FAILPOINTS", "store::migrated=return")]).await.unwrap();
    assert!(!status.success());
    assert!(count(&client, TABLES).await.unwrap() > 5, "what was committed stays");
    let (status, said) = migrate(&rig, &[]).await.unwrap();
    assert!(status.success() && said.starts_with("nothing to do"), "{said}");
}

#[tokio::test]
async fn a_dispatcher_whose_lease_is_too_short_refuses_to_start() {
    let rig = Rig::with("[dispatcher]\nlease = \"5999ms\"").await;
    let binary = Path::new(env!("CARGO_BIN_EXE_e2e-dispatcher"));
    let mut dispatcher = spawn("dispatcher", binary, &[], &rig.launch_with(&[])).unwrap();
    let status = dispatcher.wait(PATIENCE).await.unwrap();
    let said = dispatcher.log().unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("must be at least 3 times kafka.message_timeout"), "{said}");
}

async fn migrate(rig: &Rig, environment: &[(&str, &str)]) -> Result<(ExitStatus, String)> {
    administrate(&rig.launch_with(environment), &["migrate"]).await
}

/// A proxy to the server of a database URL, and the URL through it.
pub(crate) async fn proxied(url: &str) -> Result<(FaultProxy, String)> {
    let (credentials, rest) = url.split_once('@').expect("a URL with credentials");
    let (server, database) = rest.split_once('/').expect("a URL with a database");
    let proxy = FaultProxy::start(server.parse()?).await?;
    let url = format!("{credentials}@{}/{database}", proxy.address());
    Ok((proxy, url))
}
