//! Methods that a path does not have.

use crate::support::{Target, answer, answered, refused, shaped};

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_405_with_those_it_has() {
    let target = Target::start().await;
    let export = target.export.path();
    let source = &target.export.sources[0].path;
    let rows = [
        (true, "/exports".to_owned(), vec!["GET", "POST"]),
        (true, export.clone(), vec!["GET", "HEAD", "DELETE"]),
        (true, format!("{export}/status"), vec!["GET"]),
        (true, "/ping".into(), vec!["GET"]),
        (true, "/openapi.json".into(), vec!["GET"]),
        (false, "/ping".into(), vec!["GET"]),
        (false, format!("{source}/upload"), vec!["POST"]),
        (false, format!("/error{source}"), vec!["POST"]),
    ];
    for (public, path, allowed) in rows {
        for method in METHODS.into_iter().filter(|method| !allowed.contains(method)) {
            let (address, request) = if public {
                (target.public(), target.ask(method, &path))
            } else {
                (target.internal(), answer(method, &path))
            };
            let answer = answered(address, &request.line("connection: close")).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            let told: Vec<&str> = answer.header("allow").unwrap_or_default().split(", ").collect();
            assert!(allowed.iter().all(|method| told.contains(method)), "{told:?} for {path}");
            if method != "HEAD" {
                shaped(&answer, 405);
            }
        }
    }
    target.unharmed().await;
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_404() {
    let target = Target::start().await;
    for path in [
        "/",
        "//",
        "/exports/",
        "/exports//status",
        "/..",
        "/../..",
        "/%2e%2e/ping",
        "/exports/a/b",
        "/EXPORTS",
        "/ping/",
    ] {
        refused(target.public(), &target.ask("GET", path), 404).await;
    }
    for path in ["/", "/upload", "/a/b/c", "/a/b/c/d", "/upload/a/b", "/a/b/c/upload/"] {
        refused(target.internal(), &answer("POST", path), 404).await;
    }
    target.unharmed().await;
}
