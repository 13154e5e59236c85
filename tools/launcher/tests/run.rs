//! The launcher with the real programs, as `scripts/run` calls it.

use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use testkit::{Process, poll_until};
use zip::ZipArchive;

/// Starting a JVM and everything else beside other tests takes its time.
const LIMIT: Duration = Duration::from_mins(3);

/// A launcher in a folder of its own, on ports that no other test uses.
struct Run {
    folder: tempfile::TempDir,
    process: Process,
}

impl Run {
    fn start(arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("own.toml");
        fs::write(&config, own_addresses(arguments.contains(&"--services"))?)?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut all = vec!["--data".to_owned(), at("data"), "--ready-file".to_owned(), at("ready.json")];
        all.extend(["--config".to_owned(), config.display().to_string()]);
        all.extend(arguments.iter().map(ToString::to_string));
        let process =
            Process::start(Path::new(env!("CARGO_BIN_EXE_launcher")), all, [], &folder.path().join("log"))?;
        Ok(Self { folder, process })
    }

    fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready.json")
    }

    /// What the ready file says, once it is there and `accept` takes it.
    async fn ready(&self, accept: impl Fn(&Value) -> bool) -> Result<Value> {
        let read = async || {
            let Ok(text) = fs::read(self.ready_file()) else { return Ok(None) };
            Ok(Some(serde_json::from_slice(&text)?).filter(&accept))
        };
        poll_until(LIMIT, read).await.with_context(|| self.process.log().unwrap_or_default())
    }
}

fn own_addresses(services: bool) -> Result<String> {
    let [public, internal, public_ops, internal_ops, dispatcher, reaper, intake, standalone] =
        devservers::free_ports::<8>()?;
    let mode = if services {
        format!("[intake]\nops_listen = '127.0.0.1:{intake}'\n")
    } else {
        format!("[standalone]\nops_listen = '127.0.0.1:{standalone}'\n")
    };
    Ok(format!(
        "[public_api]\nlisten = '127.0.0.1:{public}'\nops_listen = '127.0.0.1:{public_ops}'\n\
         [internal_api]\nlisten = '127.0.0.1:{internal}'\nops_listen = '127.0.0.1:{internal_ops}'\n\
         [dispatcher]\nops_listen = '127.0.0.1:{dispatcher}'\n[expiry_reaper]\nops_listen = '127.0.0.1:{reaper}'\n\
         {mode}"
    ))
}

/// `{"identity":{"org_id":"1","type":"User","user":{"username":"jdoe"}}}`
const JDOE: &str =
    "eyJpZGVudGl0eSI6eyJvcmdfaWQiOiIxIiwidHlwZSI6IlVzZXIiLCJ1c2VyIjp7InVzZXJuYW1lIjoiamRvZSJ9fX0=";

/// A call of the customers' API that `ready` tells of.
fn call(ready: &Value, method: Method, path: &str) -> Result<RequestBuilder> {
    let url = ready["public_url"].as_str().context("no public_url")?;
    let client = Client::builder().no_proxy().build()?;
    Ok(client.request(method, format!("{url}/api/export/v1{path}")).header("x-rh-identity", JDOE))
}

async fn json_of(request: RequestBuilder) -> Result<Value> {
    Ok(request.send().await?.error_for_status()?.json().await?)
}

fn pid_of(ready: &Value, service: &str) -> Option<i32> {
    ready["pids"][service].as_i64().and_then(|pid| i32::try_from(pid).ok())
}

async fn makes_verified_exports(arguments: &[&str]) -> Result<()> {
    let mut run = Run::start(arguments)?;
    let status = run.process.wait(LIMIT).await?;
    let log = run.process.log()?;
    assert!(status.success(), "{log}");
    assert_eq!(log.matches("checked against its meta.json").count(), 2, "{log}");
    for file in ["inventory/packages", "inventory/processes", "inventory/mounts"] {
        assert_eq!(log.matches(file).count(), 2, "{log}");
    }
    assert!(!run.ready_file().exists());
    Ok(())
}

#[tokio::test]
async fn standalone_makes_verified_exports_of_this_machine() -> Result<()> {
    makes_verified_exports(&["--once"]).await
}

#[tokio::test]
async fn the_separate_services_make_verified_exports_of_this_machine() -> Result<()> {
    makes_verified_exports(&["--services", "--once"]).await
}

#[tokio::test]
async fn a_run_that_is_stopped_before_its_only_export_fails() -> Result<()> {
    let mut run = Run::start(&["--once"])?;
    poll_until(LIMIT, async || Ok(run.process.log()?.contains("Starting").then_some(()))).await?;
    let status = run.process.terminate(LIMIT).await?;
    let log = run.process.log()?;
    assert!(!status.success() && log.contains("stopped before the first export was made"), "{log}");
    Ok(())
}

#[tokio::test]
async fn customers_read_what_they_may_ask_for() -> Result<()> {
    let mut run = Run::start(&["--no-demo"])?;
    let ready = run.ready(|_| true).await?;
    let offered = json_of(call(&ready, Method::GET, "/applications")?).await?;
    let offered = offered["data"].as_array().context("no applications")?;
    assert_eq!(offered.len(), 3);
    for application in offered {
        assert_ne!(application["title"], application["application"]);
        assert!(application["documentation"].as_str().is_some_and(|text| text.contains("export")));
        assert!(application["documentation_url"].is_string());
        for resource in application["resources"].as_array().context("no resources")? {
            assert_ne!(resource["title"], resource["resource"]);
        }
    }
    assert!(run.process.terminate(LIMIT).await?.success());
    Ok(())
}

#[tokio::test]
async fn with_the_sql_source_customers_export_the_list_of_their_exports() -> Result<()> {
    let mut run = Run::start(&["--sql-source", "--no-demo"])?;
    let ready = run.ready(|_| true).await?;
    let source = json!({"application": "platform", "resource": "exports", "filters": {"status": "pending"}});
    let body = json!({"name": "All of mine", "format": "json", "sources": [source]});
    let created = json_of(call(&ready, Method::POST, "/exports")?.json(&body)).await?;
    let export = format!("/exports/{}", created["id"].as_str().context("no id")?);
    poll_until(LIMIT, async || {
        let status = json_of(call(&ready, Method::GET, &format!("{export}/status"))?).await?;
        ensure!(status["status"] != "failed", "{status}");
        Ok((status["status"] == "complete").then_some(()))
    })
    .await
    .with_context(|| run.process.log().unwrap_or_default())?;
    let archive = call(&ready, Method::GET, &export)?.send().await?.error_for_status()?.bytes().await?;
    let source = created["sources"][0]["id"].as_str().context("no source")?;
    let mut rows = String::new();
    ZipArchive::new(Cursor::new(archive))?.by_name(&format!("{source}.json"))?.read_to_string(&mut rows)?;
    let rows: Value = serde_json::from_str(&rows)?;
    assert_eq!((&rows[0]["id"], &rows[0]["name"]), (&created["id"], &json!("All of mine")));
    assert!(run.process.terminate(LIMIT).await?.success());
    Ok(())
}

#[tokio::test]
async fn one_of_the_separate_services_that_is_killed_comes_back_and_the_others_stay() -> Result<()> {
    const SERVICES: [&str; 5] = ["public-api", "internal-api", "dispatcher", "expiry-reaper", "intake"];
    let mut run = Run::start(&["--services", "--no-demo"])?;
    let ready = run.ready(|_| true).await?;
    let first = pid_of(&ready, "dispatcher").context("no process id")?;
    kill(Pid::from_raw(first), Signal::SIGKILL)?;
    let again = run.ready(|ready| pid_of(ready, "dispatcher").is_some_and(|pid| pid != first)).await?;
    for other in SERVICES.into_iter().filter(|name| *name != "dispatcher") {
        assert!(pid_of(&again, other).is_some(), "{other} is missing: {}", again["pids"]);
        assert_eq!(pid_of(&again, other), pid_of(&ready, other), "{other}");
    }
    assert!(run.process.log()?.contains("dispatcher runs again"));
    assert!(run.process.terminate(LIMIT).await?.success());
    Ok(())
}

#[tokio::test]
async fn a_killed_service_comes_back_and_the_ready_file_follows_it() -> Result<()> {
    let mut run = Run::start(&["--no-demo"])?;
    let ready = run.ready(|_| true).await?;
    assert_eq!(ready["mode"], "standalone");
    let offered = ready["applications"]["exampleApplication"]["resources"].as_array();
    assert!(offered.is_some_and(|offered| offered.contains(&json!("anotherExampleResource"))), "{ready}");
    assert_eq!(fs::metadata(run.ready_file())?.permissions().mode() & 0o777, 0o600);

    let first = pid_of(&ready, "standalone").context("no process id")?;
    kill(Pid::from_raw(first), Signal::SIGKILL)?;
    let again = run.ready(|ready| pid_of(ready, "standalone").is_some_and(|pid| pid != first)).await?;
    assert_eq!(again["public_url"], ready["public_url"]);
    assert_eq!(again["postgres_url"], ready["postgres_url"]);

    let status = run.process.terminate(LIMIT).await?;
    assert!(status.success(), "{}", run.process.log()?);
    assert!(!run.ready_file().exists());
    Ok(())
}
