//! A whole process: the example `hello`.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

const SOON: Duration = Duration::from_secs(20);

fn hello() -> Command {
    // Examples are built next to the folder of the tests.
    let tests: PathBuf = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let mut command = Command::new(tests.join("../examples/hello"));
    command
        .env("EXPORTS__HELLO__LISTEN", "127.0.0.1:0")
        .env("EXPORTS__HELLO__OPS_LISTEN", "127.0.0.1:0")
        .env("EXPORTS__LIFECYCLE__STOP_TIMEOUT", "5s")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn output(mut command: Command) -> Output {
    timeout(SOON, command.output()).await.unwrap().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().into()
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    api: String,
    ops: String,
}

impl Process {
    async fn start() -> Self {
        let mut child = hello().spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self { child, lines, api: String::new(), ops: String::new() };
        process.ops = text(&process.log("hello starts").await["ops"]);
        process.api = text(&process.log("listening").await["address"]);
        process.log("hello runs").await;
        process
    }

    /// The next log line with `message`.
    async fn log(&mut self, message: &str) -> Value {
        let search = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let line: Value = serde_json::from_str(&line).unwrap();
                if line["message"] == message {
                    return line;
                }
            }
            panic!("no line {message}");
        };
        timeout(SOON, search).await.unwrap()
    }

    async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &id]).status().await.unwrap().success());
    }

    async fn exit_code(&mut self) -> Option<i32> {
        timeout(SOON, self.child.wait()).await.unwrap().unwrap().code()
    }
}

#[tokio::test]
async fn a_process_tells_its_state_and_ends_with_0_on_sigterm() {
    let mut process = Process::start().await;
    let get = |path: &str| reqwest::get(format!("http://{}{path}", process.ops));
    assert_eq!(get("/livez").await.unwrap().status().as_u16(), 200);
    let ready = get("/readyz").await.unwrap();
    assert_eq!(ready.status().as_u16(), 200);
    let expected = json!({"status": "ok", "phase": "running", "checks": {"self": {"status": "ok"}}});
    assert_eq!(ready.json::<Value>().await.unwrap(), expected);
    reqwest::get(format!("http://{}/hello", process.api)).await.unwrap();
    let metrics = get("/metrics").await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains(r#"http_requests_total{method="GET",route="/hello",service="hello""#),
        "{metrics}"
    );
    process.signal("-TERM").await;
    assert_eq!(process.exit_code().await, Some(0));
}

#[tokio::test]
async fn every_request_is_one_line_with_its_id() {
    let mut process = Process::start().await;
    let client = reqwest::Client::new();
    let request = client.get(format!("http://{}/hello?secret=1", process.api)).header("x-request-id", "r-9");
    request.send().await.unwrap();
    let line = process.log("GET /hello 200").await;
    assert_eq!((&line["target"], &line["http.route"]), (&json!("access"), &json!("/hello")));
    assert_eq!(line["span"]["request.id"], "r-9");
    assert!(!line.to_string().contains("secret"), "{line}");
}

#[tokio::test]
async fn a_stop_takes_no_longer_than_it_may() {
    let mut process = Process::start().await;
    let slow = tokio::spawn(reqwest::get(format!("http://{}/slow", process.api)));
    let ops = process.ops.clone();
    let in_flight = async {
        loop {
            let metrics = reqwest::get(format!("http://{ops}/metrics")).await.unwrap().text().await.unwrap();
            if metrics.contains(r#"http_requests_in_flight{service="hello"} 1"#) {
                return;
            }
        }
    };
    timeout(SOON, in_flight).await.unwrap();
    let started = tokio::time::Instant::now();
    process.signal("-INT").await;
    assert_eq!(process.exit_code().await, Some(0));
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert!(slow.await.unwrap().is_err(), "it was cut");
}

#[tokio::test]
async fn a_panicking_loop_brings_the_process_down_with_its_name() {
    let mut command = hello();
    command.env("EXPORTS__HELLO__PANICS", "true");
    let output = output(command).await;
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stdout).unwrap();
    assert!(log.contains("task hello/loop failed: panicked: told to"), "{log}");
}

#[tokio::test]
async fn wrong_settings_keep_it_from_starting_and_say_which() {
    let mut command = hello();
    command.env("EXPORTS__HELLO__LISTNE", "x");
    let output = output(command).await;
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    let expected = "hello: unknown setting `hello.listne` in EXPORTS__HELLO__LISTNE; ";
    assert!(told.starts_with(expected), "{told}");
}

#[tokio::test]
async fn the_command_line_tells_version_and_help() {
    for (argument, expected) in
        [("--version", format!("hello {}", service::VERSION)), ("--help", "--config <FILE>".into())]
    {
        let mut command = hello();
        command.arg(argument);
        let output = output(command).await;
        assert_eq!(output.status.code(), Some(0));
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains(&expected), "{told}");
    }
}
