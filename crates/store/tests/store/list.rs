//! Listing exports: filters, windows, order, pages.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use domain::{
    ApplicationName, ExportDraft, ListQuery, ResourceName, SortDirection, SortField, ids::ExportId,
};

use crate::support::{Fixture, owner};

impl Fixture {
    async fn ids(&self, query: ListQuery) -> Vec<ExportId> {
        let page = self.store.list_exports(owner("jdoe"), query).await.unwrap();
        page.exports.into_iter().map(|export| export.id).collect()
    }

    /// Lists without a limit and checks that the count agrees.
    async fn matches(&self, query: ListQuery) -> Vec<ExportId> {
        let page = self.store.list_exports(owner("jdoe"), query).await.unwrap();
        assert_eq!(page.count, page.exports.len() as u64);
        page.exports.into_iter().map(|export| export.id).collect()
    }

    async fn add(&self, change: impl FnOnce(&mut ExportDraft)) -> ExportId {
        let mut draft = self.draft("Nightly", 2);
        change(&mut draft);
        self.create_from(&owner("jdoe"), &draft).await;
        draft.id
    }
}

/// A filter for exactly this text.
#[expect(clippy::unnecessary_wraps, reason = "it is the type of a filter")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_lets_only_exact_matches_pass() {
    let fixture = Fixture::new().await;
    let application = |name| ApplicationName::parse(name).unwrap();
    let resource = |name| ResourceName::parse(name).unwrap();
    let one = fixture.add(|draft| draft.sources[1].application = application("other")).await;
    let two = fixture.add(|draft| draft.name = domain::ExportName::parse("Weekly").unwrap()).await;
    let three = fixture.add(|draft| draft.sources[0].resource = resource("special")).await;
    let delivered =
        fixture.store.find_export(owner("jdoe"), two, fixture.now()).await.unwrap().unwrap().resources[0].id;
    fixture.deliver(two, delivered, 1).await;

    let all = ListQuery::default;
    let rows = [
        (ListQuery { name: text("Weekly"), ..all() }, vec![two]),
        (ListQuery { name: text("weekly"), ..all() }, vec![]),
        (ListQuery { name: text("Week%"), ..all() }, vec![]),
        (ListQuery { status: text("running"), ..all() }, vec![two]),
        (ListQuery { status: text("pending"), ..all() }, vec![one, three]),
        (ListQuery { status: text("no such status"), ..all() }, vec![]),
        (ListQuery { application: text("other"), ..all() }, vec![one]),
        (ListQuery { application: text("application"), ..all() }, vec![one, two, three]),
        (ListQuery { resource: text("special"), ..all() }, vec![three]),
        (ListQuery { application: text("oth"), ..all() }, vec![]),
        (ListQuery { application: text("other\u{1f}resource-1"), ..all() }, vec![]),
        // Of the same source: `other` has only resource-1.
        (ListQuery { application: text("other"), resource: text("resource-0"), ..all() }, vec![]),
        (ListQuery { application: text("other"), resource: text("resource-1"), ..all() }, vec![one]),
        (
            ListQuery { name: text("Nightly"), status: text("pending"), resource: text("special"), ..all() },
            vec![three],
        ),
        (all(), vec![one, two, three]),
    ];
    for (query, expected) in rows {
        assert_eq!(fixture.matches(query.clone()).await, expected, "{query:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_one_day_includes_both_its_ends() {
    let fixture = Fixture::new().await;
    let start: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    let (moment, day) = (TimeDelta::microseconds(1), TimeDelta::days(1));
    let times = [start - moment, start, start + day, start + day + moment];
    let mut made = Vec::new();
    for time in times {
        made.push(fixture.add(|draft| (draft.created_at, draft.expires_at) = (time, time + day * 30)).await);
    }
    let created = ListQuery { created_at: Some(start), ..ListQuery::default() };
    assert_eq!(fixture.matches(created.clone()).await, made[1..3]);
    let expires = ListQuery { expires_at: Some(start + day * 30), ..ListQuery::default() };
    assert_eq!(fixture.matches(expires.clone()).await, made[1..3]);
    let neither = ListQuery { expires_at: Some(start), ..created };
    assert_eq!(fixture.matches(neither).await, []);
    let last = ListQuery { created_at: Some(DateTime::<Utc>::MAX_UTC), ..ListQuery::default() };
    assert_eq!(fixture.matches(last).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_with_several_matching_sources_is_listed_once() {
    let fixture = Fixture::new().await;
    let mut draft = fixture.draft("Nightly", 20);
    for source in &mut draft.sources {
        source.resource = ResourceName::parse("same").unwrap();
    }
    fixture.create_from(&owner("jdoe"), &draft).await;
    for (application, resource) in
        [(text("application"), None), (None, text("same")), (text("application"), text("same"))]
    {
        let query = ListQuery { application, resource, ..ListQuery::default() };
        assert_eq!(fixture.matches(query).await, [draft.id]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_sorts_both_ways_with_ties_by_id() {
    let fixture = Fixture::new().await;
    let mut made = Vec::new();
    // Created in an order that is none of the sorted ones; each value twice or more.
    for (name, created, expires) in
        [("b", 2, 1), ("a", 2, 3), ("b", 1, 3), ("c", 1, 1), ("a", 1, 3), ("b", 2, 1)]
    {
        let id = fixture
            .add(|draft| {
                draft.name = domain::ExportName::parse(name).unwrap();
                draft.created_at += TimeDelta::hours(created);
                draft.expires_at += TimeDelta::days(expires);
            })
            .await;
        made.push((name, created, expires, id));
    }
    for (sort, key) in [
        (SortField::Name, (|(name, _, _, id)| (name, 0, id)) as fn(_) -> (&'static str, i64, ExportId)),
        (SortField::CreatedAt, |(_, created, _, id)| ("", created, id)),
        (SortField::ExpiresAt, |(_, _, expires, id)| ("", expires, id)),
    ] {
        made.sort_by_key(|row| key(*row));
        let mut expected: Vec<_> = made.iter().map(|row| row.3).collect();
        let ascending = ListQuery { sort, ..ListQuery::default() };
        assert_eq!(fixture.matches(ascending.clone()).await, expected, "{sort:?}");
        expected.reverse();
        let descending = ListQuery { direction: SortDirection::Descending, ..ascending.clone() };
        assert_eq!(fixture.matches(descending).await, expected, "{sort:?} descending");
        expected.reverse();
        let mut paged = Vec::new();
        for offset in (0..).step_by(2).take(4) {
            paged.extend(fixture.ids(ListQuery { limit: 2, offset, ..ascending.clone() }).await);
        }
        assert_eq!(paged, expected, "{sort:?} in pages");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_does_not_depend_on_the_page() {
    let fixture = Fixture::new().await;
    for _ in 0..5 {
        fixture.add(|_| ()).await;
    }
    let filtered = ListQuery { name: text("Nightly"), ..ListQuery::default() };
    for base in [ListQuery::default(), filtered] {
        for (offset, limit, rows) in
            [(0, 0, 0), (0, 1000, 5), (3, 100, 2), (5, 100, 0), (6, 100, 0), (i64::MAX as u64, 1000, 0)]
        {
            let query = ListQuery { offset, limit, ..base.clone() };
            let page = fixture.store.list_exports(owner("jdoe"), query).await.unwrap();
            assert_eq!((page.count, page.exports.len()), (5, rows), "offset {offset} limit {limit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_without_exports_has_an_empty_page() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.matches(ListQuery::default()).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_page_is_a_part_of_the_whole_from_either_end() {
    let fixture = Fixture::new().await;
    fixture.add(|draft| draft.name = domain::ExportName::parse("other").unwrap()).await;
    // Values come up in no order, each twelve times or more.
    let fill = "INSERT INTO exports (id, owner_id, name, format, source_tags, created_at, expires_at) \
                SELECT md5(n::text)::uuid, 1, 'n' || n % 7, 'json', '{}', '2026-01-01'::timestamptz + n % 211 * interval '1 hour', \
                '2026-02-01'::timestamptz + n % 13 * interval '1 day' FROM generate_series(1, 2600) n; \
                UPDATE exports SET deleted_at = now() WHERE id IN (SELECT id FROM exports ORDER BY id LIMIT 100); \
                UPDATE owners SET export_count = (SELECT count(*) FROM exports WHERE deleted_at IS NULL) - 1";
    fixture.connection().batch_execute(fill).unwrap();
    for (sort, column) in [
        (SortField::Name, "name"),
        (SortField::CreatedAt, "created_at"),
        (SortField::ExpiresAt, "expires_at"),
    ] {
        for (direction, word) in [(SortDirection::Ascending, "asc"), (SortDirection::Descending, "desc")] {
            for (name, condition) in [(None, ""), (text("n3"), "AND name = 'n3'")] {
                let whole = format!(
                    "SELECT id::text AS t FROM exports WHERE deleted_at IS NULL {condition} ORDER BY {column} {word}, id {word}"
                );
                let whole = fixture.texts(&whole);
                for (offset, limit) in [
                    (999, 3),
                    (1000, 3),
                    (1000, 1000),
                    (1300, 50),
                    (2000, 1000),
                    (whole.len() - 1, 2),
                    (2600, 5),
                ] {
                    let expected = whole.iter().skip(offset).take(limit);
                    let query = ListQuery {
                        offset: offset as u64,
                        limit: limit as u64,
                        name: name.clone(),
                        sort,
                        direction,
                        ..ListQuery::default()
                    };
                    let page = fixture.store.list_exports(owner("jdoe"), query.clone()).await.unwrap();
                    let ids: Vec<_> = page.exports.iter().map(|export| export.id.to_string()).collect();
                    assert!(ids.iter().eq(expected), "{query:?}: {} of {}", ids.len(), page.count);
                    assert_eq!(page.count, whole.len() as u64);
                }
            }
        }
    }
}
