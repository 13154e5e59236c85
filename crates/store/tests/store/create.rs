//! Creating exports.

use domain::{Owner, ids::LeaseToken};
use futures_util::future::join_all;
use serde_json::{Value, json};
use store::{CreateExport, OutboxKind::Request};

use crate::support::{Fixture, ONE_TRY, owner, records_of, request, rows_of};

#[tokio::test(flavor = "multi_thread")]
async fn creating_writes_the_export_its_sources_and_its_records_in_the_order_of_the_request() {
    let fixture = Fixture::new().await;
    let draft = fixture.create(&owner("jdoe"), 1000).await;

    let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
    let asked: Vec<_> = draft.sources.iter().map(|source| source.id).collect();
    let kept: Vec<_> = found.resources.iter().map(|resource| resource.id).collect();
    assert_eq!(kept, asked);
    let sql = "SELECT convert_from(payload, 'UTF8') AS t FROM outbox WHERE kind = 'request' ORDER BY id";
    let queued = fixture.texts(sql);
    let events: Vec<_> = draft.sources.iter().map(|source| source.event_id.to_string()).collect();
    assert_eq!(queued, events);
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_output_shows_nothing_of_the_customer() {
    let fixture = Fixture::new().await;
    let mut draft = fixture.draft("salaries", 2);
    draft.sources[0].filters = json!({"name": "hunter2"}).as_object().cloned();
    let mut records = records_of(&draft);
    records[0].payload = b"hunter2".to_vec();
    let identity = "aWRlbnRpdHk=".to_owned();
    let create = CreateExport::new(&draft, owner("jdoe"), identity, records, ONE_TRY);
    let shown = format!("{create:?}");
    fixture.store.create_export(create).await.unwrap();
    let (now, until) = (fixture.now(), fixture.now() + chrono::TimeDelta::minutes(1));
    let leased = fixture.store.lease_records(Request, LeaseToken::random(), now, until, 10).await.unwrap();
    let shown = format!("{shown} {leased:?}");
    for hidden in ["aWRlbnRpdHk=", "hunter2", "jdoe", "salaries", &format!("{:?}", b"hunter2")] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    assert!(shown.contains(&draft.id.to_string()), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_created_reads_back_as_it_was_given() {
    let fixture = Fixture::new().await;
    let mut draft = fixture.draft("Nightly", 2);
    draft.sources[0].expires_at = fixture.now() + chrono::TimeDelta::hours(1);
    fixture.create_from(&owner("jdoe"), &draft).await;

    let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
    assert_eq!(found.export.name, "Nightly");
    assert_eq!(found.export.format, draft.format);
    assert_eq!(found.export.status.as_str(), "pending");
    assert_eq!(found.export.created_at, draft.created_at);
    assert_eq!(found.export.expires_at, draft.expires_at);
    assert_eq!(found.export.completed_at, None);
    for (source, kept) in draft.sources.iter().zip(&found.resources) {
        assert_eq!((&kept.application, &kept.resource), (&source.application, &source.resource));
        assert_eq!((&kept.filters, kept.expires_at), (&source.filters, source.expires_at));
        assert_eq!(kept.state, domain::ResourceState::Pending);
    }
    let records = records_of(&draft);
    let token = domain::ids::LeaseToken::random();
    let until = fixture.now() + chrono::TimeDelta::minutes(1);
    let leased = fixture.store.lease_records(Request, token, fixture.now(), until, 10).await.unwrap();
    assert_eq!(leased.iter().map(|row| request(row).clone()).collect::<Vec<_>>(), records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_fails_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    let mut draft = fixture.draft("Nightly", 3);
    draft.sources[2].id = draft.sources[0].id;
    let failed = fixture.store.create_export(rows_of(&draft, &owner("jdoe"))).await;
    assert!(matches!(failed, Err(store::StoreError::Statement(_))), "{failed:?}");
    for table in ["exports", "resources", "outbox", "export_count_deltas"] {
        assert_eq!(fixture.number(&format!("SELECT count(*) AS n FROM {table}")), 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_first_exports_of_a_new_owner_at_once_all_succeed() {
    let fixture = Fixture::new().await;
    let jdoe = owner("jdoe");
    join_all((0..50).map(|_| fixture.create(&jdoe, 1))).await;
    assert_eq!(fixture.number("SELECT count(*) AS n FROM exports"), 50);
    assert_eq!(fixture.number("SELECT count(*) AS n FROM owners"), 1);
    let page = fixture.store.list_exports(jdoe, domain::ListQuery::default()).await.unwrap();
    assert_eq!((page.count, page.exports.len()), (50, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_from_outside_survive_as_they_are() {
    let fixture = Fixture::new().await;
    let name = r#"'; DROP TABLE exports; -- "quoted" \ 😀 {} %s $1 NULL"#;
    let quoted = Owner {
        account: r#"{"a",\}"#.to_owned(),
        org_id: "o'org".to_owned(),
        username: "jürgen \"the 😀\" \\, NULL".to_owned(),
    };
    let mut draft = fixture.draft(name, 9);
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({ "deeper": deep });
    }
    let filters = [
        json!({"nul": "a\0b", "\0": "key"}),
        json!({"emoji": "😀", "quotes": "\"'\\", "braces": "{,}\"NULL\""}),
        deep,
        json!({"u64": u64::MAX, "i64": i64::MIN, "float": 1e308, "small": 5e-324, "exact": 0.1}),
        json!({}),
        json!({"null": null, "list": [null, "NULL", "null", "", []]}),
        json!({"separator": "\u{2028}", "control": "\u{1}\u{7f}", "highest": "\u{10ffff}"}),
        json!({"long": "x".repeat(100_000)}),
    ];
    for (source, filters) in draft.sources.iter_mut().zip(&filters) {
        source.filters = filters.as_object().cloned();
    }
    draft.sources[8].application = domain::ApplicationName::parse("urn:\"a\",{b}\\ 😀").unwrap();
    fixture.create_from(&quoted, &draft).await;

    let found = fixture.store.find_export(quoted.clone(), draft.id, fixture.now()).await.unwrap().unwrap();
    assert_eq!(found.export.name, name);
    for (kept, filters) in found.resources.iter().zip(&filters) {
        assert_eq!(kept.filters.clone().map(Value::Object).as_ref(), Some(filters));
    }
    assert_eq!(found.resources[8].filters, None);
    assert_eq!(found.resources[8].application, draft.sources[8].application);
    let query = domain::ListQuery { name: Some(name.to_owned()), ..domain::ListQuery::default() };
    assert_eq!(fixture.store.list_exports(quoted, query).await.unwrap().count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_names_fit() {
    let fixture = Fixture::new().await;
    // Random letters: Postgres compresses what repeats before it puts it into an index.
    let long = |characters: usize| {
        let mut text = String::new();
        while text.len() < characters {
            text += &domain::ids::AttemptId::random().as_uuid().simple().to_string()[16..];
        }
        text.chars().take(characters).collect::<String>()
    };
    let longest = Owner { account: long(255), org_id: long(255), username: long(255) };
    let draft = fixture.draft(&"𒈙".repeat(255), 1);
    fixture.create_from(&longest, &draft).await;
    assert!(fixture.store.find_export(longest, draft.id, fixture.now()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_dates_are_kept() {
    let fixture = Fixture::new().await;
    for expiry in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "1883-11-18T12:03:57.5+07:00"] {
        let mut draft = fixture.draft("Nightly", 1);
        draft.expires_at = expiry.parse().unwrap();
        draft.sources[0].expires_at = draft.expires_at;
        fixture.create_from(&owner("jdoe"), &draft).await;
        let found = fixture.store.find_export(owner("jdoe"), draft.id, fixture.now()).await.unwrap().unwrap();
        assert_eq!(found.export.expires_at, draft.expires_at);
        assert_eq!(found.resources[0].expires_at, draft.expires_at);
    }
}
