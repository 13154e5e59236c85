//! What an operator finds in the logs of a request.

use e2e::{Customer, PATIENCE, SOURCE_APPLICATION};
use reqwest::Method;
use serde_json::Value;
use testkit::poll_until;

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
