//! Listings (S0-44, X7).

use chrono::TimeDelta;
use e2e::{Customer, TestApp, expect, refusal};
use serde_json::{Value, json};

use crate::support::{one_source, other_source, source, wanted, with};

/// Exports named a, b, c, … an hour apart, of one customer.
async fn exports(app: &TestApp, names: &[&str]) -> Customer {
    let customer = Customer::new();
    for name in names {
        app.create(&customer, &with(one_source(), "", "name", Some(json!(name)))).await;
        app.clock.advance(TimeDelta::hours(1));
    }
    customer
}

fn names(listing: &Value) -> Vec<&str> {
    listing["data"].as_array().unwrap().iter().map(|export| export["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn s0_44_an_empty_listing_has_all_its_parts() {
    let app = TestApp::start().await;
    let first = "/api/export/v1/exports?limit=100&offset=0";
    let empty = json!({"meta": {"count": 0}, "data": [],
        "links": {"first": first, "next": null, "previous": null, "last": first}});
    assert_eq!(app.list(&Customer::new(), "").await, empty);
    app.end().await;
}

#[tokio::test]
async fn s0_44_pages_follow_each_other_and_their_links_lead_there() {
    let app = TestApp::start().await;
    let customer = exports(&app, &["a", "b", "c", "d", "e"]).await;
    let (mut seen, mut next) = (Vec::new(), Some("?limit=2".to_owned()));
    while let Some(query) = next {
        let page = app.list(&customer, &query).await;
        assert_eq!(page["meta"]["count"], 5);
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let link = page["links"]["next"].as_str();
        next = link.map(|link| link.strip_prefix("/api/export/v1/exports").unwrap().to_owned());
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    let last = app.list(&customer, "?limit=2&offset=4").await;
    assert_eq!(last["links"]["previous"], "/api/export/v1/exports?limit=2&offset=2");
    assert_eq!(last["links"]["last"], "/api/export/v1/exports?limit=2&offset=4");
    app.end().await;
}

#[tokio::test]
async fn s0_44_x7_every_name_of_a_sort_field_is_understood() {
    let app = TestApp::start().await;
    let customer = exports(&app, &["b", "a", "c"]).await;
    let by_creation = ["b", "a", "c"];
    for (query, expected) in [
        ("", by_creation),
        ("?sort=created", by_creation),
        ("?sort=created_at&dir=asc", by_creation),
        ("?sort=created&dir=desc", ["c", "a", "b"]),
        ("?sort=expires", by_creation),
        ("?sort=expires_at&dir=desc", ["c", "a", "b"]),
        ("?sort=name", ["a", "b", "c"]),
        ("?sort=name&dir=desc", ["c", "b", "a"]),
    ] {
        assert_eq!(names(&app.list(&customer, query).await), expected, "{query}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_44_filters_are_exact() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    let named = |body: Value, name: &str| with(body, "", "name", Some(json!(name)));
    let first = app.create(&customer, &named(one_source(), "first one")).await;
    app.create(&customer, &named(wanted(&[other_source(), source("anotherExampleResource")]), "second"))
        .await;
    expect(app.upload(&first.sources[0], "[]").await, 202).await;
    for (query, expected) in [
        ("?name=second", vec!["second"]),
        ("?name=first+one", vec!["first one"]),
        ("?name=first%20one", vec!["first one"]),
        ("?name=sec", vec![]),
        ("?name=SECOND", vec![]),
        ("?name=second&status=complete", vec![]),
        ("?status=complete", vec!["first one"]),
        ("?status=pending", vec!["second"]),
        ("?status=nonsense", vec![]),
        ("?application=exampleApplication", vec!["first one", "second"]),
        ("?application=urn:redhat:application:other", vec!["second"]),
        ("?resource=exampleResource", vec!["first one"]),
        // Of one and the same source.
        ("?application=exampleApplication&resource=otherResource", vec![]),
        ("?unknown=1", vec!["first one", "second"]),
    ] {
        let listing = app.list(&customer, query).await;
        assert_eq!(
            (names(&listing), &listing["meta"]["count"]),
            (expected.clone(), &json!(expected.len())),
            "{query}"
        );
    }
    app.end().await;
}

#[tokio::test]
async fn s0_44_a_date_means_the_day_that_begins_then() {
    let app = TestApp::start().await;
    // 06:37, 07:37 and, a day later, 06:37 and 08:37 on the next.
    let customer = exports(&app, &["a", "b"]).await;
    app.clock.advance(TimeDelta::hours(23));
    app.create(&customer, &with(one_source(), "", "name", Some(json!("c")))).await;
    for (query, expected) in [
        ("?created_at=2026-11-21", vec!["a", "b"]),
        ("?created_at=2026-11-22", vec!["c"]),
        ("?created_at=2026-11-21T07:00:00Z", vec!["b"]),
        ("?created_at=2026-11-21T12:00:00Z", vec!["c"]),
        ("?created_at=2026-11-20", vec![]),
        ("?expires_at=2026-11-28", vec!["a", "b"]),
        ("?expires_at=2026-11-28T07:00:00Z", vec!["b"]),
        ("?created_at=2026-11-21&expires_at=2026-11-29", vec![]),
    ] {
        assert_eq!(names(&app.list(&customer, query).await), expected, "{query}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_44_what_a_parameter_cannot_be_is_said() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    for (query, told) in [
        ("?created_at=yesterday", "'yesterday' is not a valid date in ISO 8601"),
        ("?expires_at=2026-13-01", "'2026-13-01' is not a valid date in ISO 8601"),
        ("?created_at=2026-11-21T25:00:00Z", "'2026-11-21T25:00:00Z' is not a valid date in ISO 8601"),
        ("?limit=-1", "limit must be an integer from 0 to 1000"),
        ("?limit=1001", "limit must be an integer from 0 to 1000"),
        ("?limit=1.5", "limit must be an integer from 0 to 1000"),
        ("?offset=-1", "offset must be an integer, 0 or more"),
        ("?offset=x", "offset must be an integer, 0 or more"),
        ("?sort=colour", "sort must be one of name, created, created_at, expires, expires_at"),
        ("?dir=up", "dir must be one of asc, desc"),
    ] {
        assert_eq!(refusal(app.try_list(&customer, query).await, 400).await, told, "{query}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_44_a_limit_of_zero_only_counts() {
    let app = TestApp::start().await;
    let customer = exports(&app, &["a", "b"]).await;
    let counted = app.list(&customer, "?limit=0").await;
    assert_eq!((&counted["meta"]["count"], &counted["data"]), (&json!(2), &json!([])));
    app.end().await;
}

#[tokio::test]
async fn s0_44_an_export_with_several_matching_sources_is_listed_once() {
    let app = TestApp::start().await;
    let customer = Customer::new();
    app.create(&customer, &wanted(&vec![source("exampleResource"); 20])).await;
    for query in [
        "?application=exampleApplication",
        "?resource=exampleResource",
        "?application=exampleApplication&resource=exampleResource",
    ] {
        let listing = app.list(&customer, query).await;
        assert_eq!((&listing["meta"]["count"], names(&listing)), (&json!(1), vec!["Nightly"]), "{query}");
    }
    app.end().await;
}

#[tokio::test]
async fn s0_44_a_deleted_export_is_not_listed() {
    let app = TestApp::start().await;
    let customer = exports(&app, &["a"]).await;
    let deleted = app.create(&customer, &one_source()).await;
    expect(app.delete(&deleted).await, 202).await;
    let listing = app.list(&customer, "").await;
    assert_eq!((names(&listing), &listing["meta"]["count"]), (vec!["a"], &json!(1)));
    app.end().await;
}
