//! Tokens of an issuer instead of keys (S0-17b), from a real identity provider.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::Period;
use e2e::{
    AppSettings, Customer, Export, OTHER_APPLICATION, SOURCE_APPLICATION, SourceApplication, TestApp, expect,
    refusal,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use testkit::TestIssuer;

use crate::support::{other_source, posting, source, usual, wanted, with};

/// How many sources an export of these tests has.
const SOURCES: usize = 6;

/// The seconds since 1970, as tokens count them, and some more.
fn in_seconds(more: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + more
}

/// Takes the tokens of `issuer`, and asks it as often as is needed.
fn take_tokens(settings: &mut AppSettings, issuer: &TestIssuer) {
    settings.oidc.issuer = Some(issuer.url.clone());
    settings.oidc.allow_http = true;
    settings.oidc.refresh_pause = Period::from_millis(0);
    settings.oidc.timeout = Period::from_secs(20);
    settings.application(SOURCE_APPLICATION).oidc_clients.insert("source-client".into());
    settings.application(OTHER_APPLICATION).oidc_clients.insert("other-client".into());
}

/// An app that takes the tokens of an issuer, with an export of a few sources.
pub(crate) async fn begin(issuer: &TestIssuer, change: impl FnOnce(&mut AppSettings)) -> (TestApp, Export) {
    let app = TestApp::with(|settings| {
        take_tokens(settings, issuer);
        change(settings);
    })
    .await;
    let export = app.create(&Customer::new(), &wanted(&vec![source("exampleResource"); SOURCES])).await;
    (app, export)
}

/// An upload for a source of the export, with a token.
pub(crate) fn upload(app: &TestApp, export: &Export, place: usize, token: &str) -> RequestBuilder {
    let path = format!("{}/upload", export.sources[place].path);
    app.answer_unidentified(Method::POST, &path).bearer_auth(token).body("[]")
}

pub(crate) async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

pub(crate) fn claims(issuer: &TestIssuer) -> Value {
    json!({"iss": issuer.url, "aud": "exports", "client_id": "source-client", "exp": in_seconds(60)})
}

pub(crate) fn claims_with(issuer: &TestIssuer, key: &str, value: Value) -> Value {
    with(claims(issuer), "", key, Some(value))
}

pub(crate) fn rs256() -> Value {
    json!({"alg": "RS256"})
}

#[tokio::test]
async fn s0_17b_a_token_of_the_issuer_stands_for_its_clients_application() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |_| ()).await;
    let token = issuer.token_of("source-client").await.unwrap();
    expect(upload(&app, &export, 0, &token).send().await, 202).await;
    let report = app.answer_unidentified(Method::POST, &format!("{}/error", export.sources[1].path));
    let report = report.bearer_auth(&token).json(&json!({"message": "no", "error": 404}));
    expect(report.send().await, 202).await;
    // The other one's tokens are signed by ES256.
    let export = app.create(&Customer::new(), &wanted(&[other_source()])).await;
    let token = issuer.token_of("other-client").await.unwrap();
    expect(upload(&app, &export, 0, &token).send().await, 202).await;
    assert_eq!(app.status(&export).await["status"], "complete");
    app.end().await;
}

#[tokio::test]
async fn s0_17b_a_client_opens_no_other_application_than_its_own() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |_| ()).await;
    let (source, others_path) =
        (&export.sources[0], format!("/{}/{OTHER_APPLICATION}/{}/upload", export.id, export.sources[0].id));
    for client in ["other-client", "unknown-client"] {
        let token = issuer.token_of(client).await.unwrap();
        for path in [&format!("{}/upload", source.path), &format!("{}/error", source.path), &others_path] {
            // A key of the application does not help.
            let call = app.answer(&usual(), Method::POST, path).bearer_auth(&token);
            let refused = refusal(call.json(&json!({"message": "no", "error": 404})).send().await, 403).await;
            let of_the_source = client == "other-client" && *path == others_path;
            let expected = if of_the_source {
                "the resource belongs to another application"
            } else {
                "the client of this bearer token does not belong to the application"
            };
            assert_eq!(refused, expected);
        }
    }
    let unheard_of = format!("/{}/unheard-of/{}/upload", export.id, source.id);
    let token = issuer.token_of("source-client").await.unwrap();
    let call = app.answer_unidentified(Method::POST, &unheard_of).bearer_auth(&token);
    refusal(call.send().await, 403).await;
    assert_eq!(app.status(&export).await["sources"][0]["status"], "pending");
    app.end().await;
}

/// Tokens that were signed by the issuer's own keys, or seem so, and must open nothing.
async fn bad_tokens(issuer: &TestIssuer) -> Vec<(&'static str, String)> {
    let sign = async |header: Value, claims: Value| issuer.sign(&header, &claims).await.unwrap();
    let claimed = async |key: &str, value: Value| sign(rs256(), claims_with(issuer, key, value)).await;
    let without = async |key: &str| sign(rs256(), with(claims(issuer), "", key, None)).await;
    let good = sign(rs256(), claims(issuer)).await;
    let parts: Vec<&str> = good.split('.').collect();
    let others = sign(rs256(), claims_with(issuer, "client_id", json!("other-client"))).await;
    let other_payload = others.split('.').nth(1).unwrap();
    let stranger = TestIssuer::start().await.unwrap();
    vec![
        ("alg none", sign(json!({"alg": "none"}), claims(issuer)).await),
        ("alg none, kept signature", format!("eyJhbGciOiJub25lIn0.{}.{}", parts[1], parts[2])),
        ("HS256 by the public key", sign(json!({"alg": "HS256"}), claims(issuer)).await),
        ("RS512, which we do not take", sign(json!({"alg": "RS512"}), claims(issuer)).await),
        ("another audience", claimed("aud", json!("others")).await),
        ("other audiences", claimed("aud", json!(["others", "exports/"])).await),
        ("no audience in a list", claimed("aud", json!([])).await),
        ("no audience", without("aud").await),
        ("audience of another type", claimed("aud", json!({"exports": true})).await),
        ("another issuer", claimed("iss", json!(stranger.url)).await),
        ("the issuer, nearly", claimed("iss", json!(format!("{}/", issuer.url))).await),
        ("several issuers, ours among them", claimed("iss", json!([issuer.url, stranger.url])).await),
        ("our issuer in a list", claimed("iss", json!([issuer.url])).await),
        ("no issuer", without("iss").await),
        ("exp as text", claimed("exp", json!(in_seconds(60).to_string())).await),
        ("exp null", claimed("exp", Value::Null).await),
        ("exp below zero", claimed("exp", json!(-1)).await),
        ("no exp", without("exp").await),
        ("expired beyond the leeway", claimed("exp", json!(in_seconds(-40))).await),
        ("not yet valid", claimed("nbf", json!(in_seconds(90))).await),
        ("nbf as text", claimed("nbf", json!("0")).await),
        ("no client", without("client_id").await),
        ("an empty client", claimed("azp", json!("")).await),
        ("azp of another type", claimed("azp", json!(["source-client"])).await),
        ("unknown kid", sign(json!({"alg": "RS256", "kid": "unknown"}), claims(issuer)).await),
        ("kid of another kind of key", {
            let header: Value = header_of(&issuer.token_of("other-client").await.unwrap());
            sign(json!({"alg": "RS256", "kid": header["kid"]}), claims(issuer)).await
        }),
        (
            "an extension that must be known",
            sign(json!({"alg": "RS256", "crit": ["x"]}), claims(issuer)).await,
        ),
        ("another issuer's token", stranger.token_of("source-client").await.unwrap()),
        ("another issuer's key", stranger.sign(&header_of(&good), &claims(issuer)).await.unwrap()),
        ("other claims under the signature", format!("{}.{other_payload}.{}", parts[0], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.{}", parts[2])),
        ("larger than 16 KiB", claimed("padding", json!("x".repeat(16 << 10))).await),
        ("garbage", "garbage".into()),
        ("garbage of three parts", "a.b.c".into()),
        ("two tokens in one", format!("{good}, {good}")),
        ("nothing", String::new()),
    ]
}

/// What a token says of itself.
fn header_of(token: &str) -> Value {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, header).unwrap())
        .unwrap()
}

#[tokio::test]
async fn s0_17b_a_bad_token_is_401_and_no_key_makes_up_for_it() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |_| ()).await;
    for (what, token) in bad_tokens(&issuer).await {
        for verb in ["upload", "error"] {
            let report = json!({"message": "no", "error": 404});
            let call = posting(&app, &export, verb).header("authorization", format!("Bearer {token}"));
            let answer = call.json(&report).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{what}");
            let challenge = answer.headers().get("www-authenticate").cloned();
            assert_eq!(challenge.unwrap(), "Bearer error=\"invalid_token\"", "{what}");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body, json!({"message": "invalid bearer token", "code": 401}), "{what}");
        }
    }
    assert_eq!(app.status(&export).await["status"], "pending");
    let good = issuer.sign(&rs256(), &claims(&issuer)).await.unwrap();
    expect(upload(&app, &export, 0, &good).send().await, 202).await;
    app.end().await;
}

#[tokio::test]
async fn s0_17b_of_several_authorization_headers_none_is_chosen() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |_| ()).await;
    let bearer = format!("Bearer {}", issuer.token_of("source-client").await.unwrap());
    for second in [bearer.as_str(), "Bearer other", "Basic YTpi"] {
        for pair in [[&bearer, second], [second, &bearer]] {
            let call = pair
                .iter()
                .fold(posting(&app, &export, "upload"), |call, value| call.header("authorization", *value));
            assert_eq!(refusal(call.send().await, 401).await, "invalid bearer token");
        }
    }
    assert_eq!(app.status(&export).await["status"], "pending");
    app.end().await;
}

#[tokio::test]
async fn s0_17b_other_schemes_open_nothing_and_are_in_no_keys_way() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |_| ()).await;
    let path = format!("{}/upload", export.sources[0].path);
    for scheme in ["Basic YTpi", "Negotiate abc", "Bearers a.b.c"] {
        let alone = app.answer_unidentified(Method::POST, &path).header("authorization", scheme).body("[]");
        assert_eq!(refusal(alone.send().await, 400).await, "missing x-rh-exports-psk header");
        let with_key = posting(&app, &export, "upload").header("authorization", scheme).body("[]");
        expect(with_key.send().await, 202).await;
    }
    app.end().await;
}

#[tokio::test]
async fn s0_17b_clocks_may_be_apart_by_half_a_minute_and_audiences_may_be_many() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |_| ()).await;
    let es256 = json!({"alg": "ES256"});
    let good = [
        (rs256(), claims_with(&issuer, "exp", json!(in_seconds(-15)))),
        (rs256(), claims_with(&issuer, "nbf", json!(in_seconds(20)))),
        (rs256(), claims_with(&issuer, "aud", json!(["others", "exports"]))),
        (es256, claims_with(&issuer, "exp", json!(60.5 + f64::from(u32::MAX)))),
        // Keycloak names the client by `azp`, and by `client_id` what it likes.
        (
            rs256(),
            with(claims_with(&issuer, "azp", json!("source-client")), "", "client_id", Some(json!("x"))),
        ),
    ];
    for (place, (header, claims)) in good.iter().enumerate() {
        let token = issuer.sign(header, claims).await.unwrap();
        expect(upload(&app, &export, place, &token).send().await, 202).await;
    }
    let token = issuer.sign(&rs256(), &claims_with(&issuer, "azp", json!("other-client"))).await.unwrap();
    refusal(upload(&app, &export, 5, &token).send().await, 403).await;
    app.end().await;
}

#[tokio::test]
async fn s0_17b_without_an_issuer_every_token_is_refused() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |settings| settings.oidc.issuer = None).await;
    let token = issuer.token_of("source-client").await.unwrap();
    refusal(upload(&app, &export, 0, &token).send().await, 401).await;
    let with_key = posting(&app, &export, "upload").bearer_auth(&token).body("[]");
    refusal(with_key.send().await, 401).await;
    app.wait_for_metric("oidc_refused_tokens_total{reason=\"no-issuer\",service=\"internal-api\"} 2").await;
    app.end().await;
}

#[tokio::test]
async fn s0_17b_where_no_application_has_a_key_clients_are_enough() {
    let issuer = TestIssuer::start().await.unwrap();
    let (app, export) = begin(&issuer, |settings| {
        settings.applications.values_mut().for_each(|application| application.keys_sha256.clear());
    })
    .await;
    let readiness = app.context.health().readiness().await;
    assert!(readiness.checks.values().all(|check| check.reason.is_none()), "somebody can deliver");
    let token = issuer.token_of("source-client").await.unwrap();
    expect(upload(&app, &export, 0, &token).send().await, 202).await;
    let by_key = app.answer(&SourceApplication::named(SOURCE_APPLICATION), Method::POST, "/x/y/z/upload");
    refusal(by_key.send().await, 403).await;
    app.end().await;
}
