//! The supervisor with small shell scripts in place of services.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use super::*;
use crate::pauses::FIRST_PAUSE;

const LIMIT: Duration = Duration::from_secs(10);

fn script(name: &str, script: &str, folder: &Path) -> Program {
    Program {
        name: name.to_owned(),
        executable: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        ready_url: None,
        log: folder.join(format!("{name}.log")),
    }
}

async fn next_events(supervisor: &mut Supervisor) -> Vec<Event> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        let events = supervisor.look().await;
        if !events.is_empty() {
            return events;
        }
        sleep(POLL).await;
    }
    Vec::new()
}

fn log_of(program: &Program) -> String {
    std::fs::read_to_string(&program.log).unwrap_or_default()
}

#[tokio::test]
async fn a_program_that_dies_is_started_again_after_growing_pauses() {
    let folder = tempfile::tempdir().unwrap();
    let mut supervisor = Supervisor::new().unwrap();
    supervisor.add(script("short", "echo started; exit 7", folder.path())).unwrap();
    let mut pauses = Vec::new();
    while pauses.len() < 3 {
        for event in next_events(&mut supervisor).await {
            if let Event::Ended { name, status, pause } = event {
                assert_eq!((name.as_str(), status.code()), ("short", Some(7)));
                pauses.push(pause);
            }
        }
    }
    assert_eq!(pauses, [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]);
    assert_eq!(std::fs::read_to_string(folder.path().join("short.log")).unwrap(), "started\n".repeat(3));
}

#[tokio::test]
async fn a_killed_program_comes_back_as_another_process_and_is_ready_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut supervisor = Supervisor::new().unwrap();
    supervisor.add(script("long", "exec sleep 60", folder.path())).unwrap();
    supervisor.wait_ready(LIMIT).await.unwrap();
    let first = supervisor.pids()["long"];
    signal::kill(Pid::from_raw(i32::try_from(first).unwrap()), Signal::SIGKILL).unwrap();
    let events = next_events(&mut supervisor).await;
    assert!(matches!(events.as_slice(), [Event::Ended { .. }]), "{events:?}");
    assert!(supervisor.pids().is_empty());
    assert_eq!(next_events(&mut supervisor).await, [Event::Ready { name: "long".to_owned() }]);
    assert_ne!(supervisor.pids()["long"], first);
}

#[tokio::test]
async fn stopping_lets_programs_finish_and_kills_those_that_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let good =
        script("good", "trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.02; done", folder.path());
    let deaf = script("deaf", "trap '' TERM; echo up; while :; do sleep 0.02; done", folder.path());
    let mut supervisor = Supervisor::new().unwrap();
    for program in [&good, &deaf] {
        supervisor.add(program.clone()).unwrap();
    }
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline && [&good, &deaf].into_iter().any(|program| log_of(program).is_empty()) {
        sleep(POLL).await;
    }
    assert_eq!(supervisor.stop(Duration::from_millis(500)).await, ["deaf"]);
    assert_eq!(log_of(&good), "up\nbye\n");
    assert!(supervisor.pids().is_empty());
}

#[tokio::test]
async fn a_program_that_ends_while_starting_is_reported_with_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = script("bad", "echo unknown setting; exit 2", folder.path());
    program.ready_url = Some("http://127.0.0.1:9/readyz".to_owned());
    let mut supervisor = Supervisor::new().unwrap();
    supervisor.add(program).unwrap();
    let error = supervisor.wait_ready(LIMIT).await.unwrap_err().to_string();
    assert!(error.contains("bad ended while starting") && error.contains("unknown setting"), "{error}");
}

#[tokio::test]
async fn a_program_is_ready_when_its_probe_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/readyz", listener.local_addr().unwrap());
    let answers = std::thread::spawn(move || {
        for status in ["503 Service Unavailable", "503 Service Unavailable", "200 OK"] {
            let mut stream = listener.accept().unwrap().0;
            stream.read_exact(&mut [0; 4]).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let mut program = script("probed", "exec sleep 60", folder.path());
    program.ready_url = Some(url);
    let mut supervisor = Supervisor::new().unwrap();
    supervisor.add(program).unwrap();
    supervisor.wait_ready(LIMIT).await.unwrap();
    answers.join().unwrap();
}

#[tokio::test]
async fn a_replaced_program_runs_with_its_new_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let mut supervisor = Supervisor::new().unwrap();
    supervisor.add(script("demo", "exec sleep 60", folder.path())).unwrap();
    let old = supervisor.pids()["demo"];
    let new = script("demo", "echo new; exec sleep 60", folder.path());
    supervisor.replace(new.clone(), LIMIT).await.unwrap();
    assert_ne!(supervisor.pids()["demo"], old);
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline && log_of(&new).is_empty() {
        sleep(POLL).await;
    }
    assert_eq!(log_of(&new), "new\n");
}
