//! What an operator finds in the logs of a request.

use e2e::{Customer, INTERNAL, PATIENCE, SOURCE_APPLICATION};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{TestIssuer, poll_until};

use crate::{
    program::{Program, Service},
    rig::Rig,
};

const ONE_LINE_A_REQUEST: [(&str, &str); 1] = [("EXPORTS__TELEMETRY__FILTER", "info")];

#[tokio::test]
async fn the_line_of_a_request_says_whose_it_was_and_what_it_was_about() {
    let rig = Rig::new().await;
    let public = rig.start_with(Service::PublicApi, &ONE_LINE_A_REQUEST).await;
    let internal = rig.start_with(Service::InternalApi, &ONE_LINE_A_REQUEST).await;
    let (asking, answering) = (rig.asking(&public), rig.answering(&internal));
    let export = asking.create(1).await.unwrap();
    asking.status(&export.id).await.unwrap();
    asking.send(asking.request(Method::GET, "")).await.unwrap();
    answering.upload(&export.id, &export.sources[0], b"[]".to_vec()).await.unwrap();

    let org = Customer::named("keeper").org_id;
    let created = span_of(&public, "POST /api/export/v1/exports 202").await;
    assert_eq!(
        (&created["org.id"], &created["export.id"]),
        (&org.as_str().into(), &export.id.as_str().into())
    );
    let watched = span_of(&public, &format!("GET /api/export/v1/exports/{}/status 200", export.id)).await;
    assert_eq!(
        (&watched["org.id"], &watched["export.id"]),
        (&org.as_str().into(), &export.id.as_str().into())
    );
    let listed = span_of(&public, "GET /api/export/v1/exports 200").await;
    assert_eq!((&listed["org.id"], &listed["export.id"]), (&org.as_str().into(), &Value::Null));
    let delivered = span_of(&internal, "/upload 202").await;
    let expected = (&SOURCE_APPLICATION.into(), &export.id.as_str().into());
    assert_eq!((&delivered["application"], &delivered["export.id"]), expected);
}

#[tokio::test]
async fn nothing_of_a_token_is_in_the_logs_whether_it_is_good_or_bad() {
    let (rig, issuer) = (Rig::new().await, TestIssuer::start().await.unwrap());
    let environment = [
        ("EXPORTS__TELEMETRY__FILTER", "debug"),
        ("EXPORTS__OIDC__ISSUER", issuer.url.as_str()),
        ("EXPORTS__OIDC__ALLOW_HTTP", "true"),
    ];
    let internal = rig.start_with(Service::InternalApi, &environment).await;
    let good = issuer.token_of("source-client").await.unwrap();
    let header = json!({"alg": "RS256"});
    let bad = issuer.sign(&header, &json!({"iss": "somebody", "aud": 7, "exp": "soon"})).await.unwrap();
    let path = format!("{INTERNAL}/e/{SOURCE_APPLICATION}/r/upload");
    for (token, status) in [(&good, 403), (&bad, 401), (&format!("x{bad}"), 401)] {
        let call = reqwest::Client::new().post(format!("{}{path}", internal.url())).bearer_auth(token);
        assert_eq!(call.send().await.unwrap().status(), status);
    }
    let refusals = poll_until(PATIENCE, async || {
        let log = internal.process().log()?;
        let refused = log.lines().filter(|line| line.contains("a bearer token was refused")).count();
        Ok((refused == 2).then_some(log))
    });
    let log = refusals.await.unwrap();
    for part in good.split('.').chain(bad.split('.')) {
        assert!(!log.contains(part), "{part} is in the log");
    }
    assert!(!log.contains("somebody") && !log.contains("source-client"));
}

/// The span of the line whose message ends with `end`, once the program has logged it.
async fn span_of(program: &Program, end: &str) -> Value {
    let found = poll_until(PATIENCE, async || {
        let log = program.process().log()?;
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let line = lines.find(|line| line["message"].as_str().is_some_and(|message| message.ends_with(end)));
        Ok(line.map(|mut line| line["span"].take()))
    });
    found.await.unwrap_or_else(|error| panic!("no line ends with {end}: {error:#}"))
}
