//! Listing exports: the query a customer gives, and the links of the page he gets (S0-44).

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use crate::create::excerpt;

const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1000;

/// Larger offsets would not fit Postgres' `bigint`.
const MAX_OFFSET: u64 = i64::MAX as u64;

/// What a listing is sorted by. Equal values are ordered by id, so that pages never overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortField {
    /// The customer's name for the export.
    Name,
    /// When it was accepted.
    CreatedAt,
    /// When it expires.
    ExpiresAt,
}

/// The direction of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortDirection {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// Which exports to list. Filters that are None let every export pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// The exact name.
    pub name: Option<String>,
    /// The exact status; one that does not exist matches nothing.
    pub status: Option<String>,
    /// The exact application of at least one source.
    pub application: Option<String>,
    /// The exact resource of at least one source; of the same source when both are given.
    pub resource: Option<String>,
    /// The start of a window of one day, both ends included, for the time of creation.
    pub created_at: Option<DateTime<Utc>>,
    /// The same for the time of expiry.
    pub expires_at: Option<DateTime<Utc>>,
    /// How many to skip.
    pub offset: u64,
    /// How many to list, 0 to 1,000.
    pub limit: u64,
    /// The order.
    pub sort: SortField,
    /// Its direction.
    pub direction: SortDirection,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            name: None,
            status: None,
            application: None,
            resource: None,
            created_at: None,
            expires_at: None,
            offset: 0,
            limit: DEFAULT_LIMIT,
            sort: SortField::CreatedAt,
            direction: SortDirection::Ascending,
        }
    }
}

/// Why a query is refused. The text is the answer's `message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// `offset` is not a number that can be skipped.
    #[error("offset must be an integer, 0 or more")]
    Offset,
    /// `limit` is not a number of rows.
    #[error("limit must be an integer from 0 to {MAX_LIMIT}")]
    Limit,
    /// `sort` is not a field.
    #[error("sort must be one of name, created, created_at, expires, expires_at")]
    Sort,
    /// `dir` is not a direction.
    #[error("dir must be one of asc, desc")]
    Direction,
    /// A date is not one.
    #[error("'{0}' is not a valid date in ISO 8601")]
    Date(String),
    /// A text holds NUL, which no stored text does.
    #[error("{0} must not contain NUL")]
    Nul(&'static str),
}

impl ListQuery {
    /// The end of the window that starts at `start`.
    pub fn window_end(start: DateTime<Utc>) -> DateTime<Utc> {
        start.checked_add_signed(TimeDelta::days(1)).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Reads the query part of a URL, without `?`. Unknown keys are ignored, the first of a repeated key
    /// counts, and an empty filter is none.
    ///
    /// # Errors
    /// [`ListError`] names the parameter and what is allowed.
    pub fn parse(query: &str) -> Result<Self, ListError> {
        let find = |key: &str| first(query, key).filter(|value| !value.is_empty());
        let text = |key: &'static str| match find(key) {
            Some(value) if value.contains('\0') => Err(ListError::Nul(key)),
            value => Ok(value),
        };
        let date = |key| find(key).map(|value| parse_date(&value)).transpose();
        let defaults = Self::default();
        Ok(Self {
            name: text("name")?,
            status: text("status")?,
            application: text("application")?,
            resource: text("resource")?,
            created_at: date("created_at")?,
            expires_at: date("expires_at")?,
            offset: find("offset")
                .map_or(Ok(defaults.offset), |value| integer(&value, MAX_OFFSET).ok_or(ListError::Offset))?,
            limit: find("limit")
                .map_or(Ok(defaults.limit), |value| integer(&value, MAX_LIMIT).ok_or(ListError::Limit))?,
            sort: match find("sort").as_deref() {
                None | Some("created" | "created_at") => SortField::CreatedAt,
                Some("name") => SortField::Name,
                Some("expires" | "expires_at") => SortField::ExpiresAt,
                Some(_) => return Err(ListError::Sort),
            },
            direction: match find("dir").as_deref() {
                None | Some("asc") => SortDirection::Ascending,
                Some("desc") => SortDirection::Descending,
                Some(_) => return Err(ListError::Direction),
            },
        })
    }
}

fn first(query: &str, key: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.into_owned())
}

fn integer(text: &str, max: u64) -> Option<u64> {
    text.parse().ok().filter(|number| *number <= max)
}

/// A day, or a moment in UTC: only the two ways of writing that the contract has.
fn parse_date(text: &str) -> Result<DateTime<Utc>, ListError> {
    let parsed = if is_like(text, "0000-00-00") {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN))
    } else if is_like(text, "0000-00-00T00:00:00Z") {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ")
    } else {
        return Err(ListError::Date(excerpt(text)));
    };
    parsed.map(|time| time.and_utc()).map_err(|_| ListError::Date(excerpt(text)))
}

/// Whether `text` has digits where `shape` has them, and is equal to it elsewhere. The parser alone would take
/// signs, blanks, and years that Postgres does not have.
fn is_like(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            _ => byte == like,
        })
}

/// The links of one page: paths with the request's own query, keys sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageLinks {
    /// The first page.
    pub first: String,
    /// The page after this one; None on the last.
    pub next: Option<String>,
    /// The page before this one; None on the first.
    pub previous: Option<String>,
    /// The last page.
    pub last: String,
}

impl PageLinks {
    /// The links of the page that `page` asked for with `query`, where `count` exports match in all.
    pub fn new(path: &str, query: &str, page: &ListQuery, count: u64) -> Self {
        let (offset, limit) = (page.offset, page.limit);
        let mut kept: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key != "offset" && key != "limit")
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        kept.push(("limit".to_owned(), limit.to_string()));
        let link = |offset: u64| {
            let mut pairs = kept.clone();
            pairs.push(("offset".to_owned(), offset.to_string()));
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            format!("{path}?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
        };
        let has_next = limit > 0 && offset.saturating_add(limit) < count;
        let has_previous = limit > 0 && offset > 0;
        let last = count.saturating_sub(1).checked_div(limit).map_or(0, |pages| pages * limit);
        Self {
            first: link(0),
            next: has_next.then(|| link(offset + limit)),
            previous: has_previous.then(|| link(offset.saturating_sub(limit))),
            last: link(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_lists_the_first_hundred_by_creation() {
        assert_eq!(ListQuery::parse("").unwrap(), ListQuery::default());
        assert_eq!(ListQuery::parse("unknown=1&name=").unwrap(), ListQuery::default());
    }

    #[test]
    fn a_date_is_a_day_or_a_moment() {
        let day = ListQuery::parse("created_at=2026-11-21").unwrap().created_at.unwrap();
        assert_eq!(day.to_rfc3339(), "2026-11-21T00:00:00+00:00");
        let moment = ListQuery::parse("expires_at=2026-11-21T06:00:00Z").unwrap().expires_at.unwrap();
        assert_eq!(ListQuery::window_end(moment).to_rfc3339(), "2026-11-22T06:00:00+00:00");
        for absurd in [
            "yesterday",
            "-262143-01-01",
            "2026-1-1",
            "99999-01-01",
            "+2026-1-01",
            "2026-11-21 06:00:00Z",
            "2026-11-21T06:00:00z",
            "2026-11-21T06:00:00.5Z",
            "2026-11-21T06:00:00",
            "2026-11-21T6:00:00.Z",
            "+2026-11-1T06:00:00Z",
            "2026-11-21T06:00:00-01:00",
        ] {
            let refused = ListQuery::parse(&format!("created_at={}", absurd.replace('+', "%2B")));
            assert_eq!(refused, Err(ListError::Date(absurd.to_owned())), "{absurd}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        for (query, error) in [
            ("offset=-1", ListError::Offset),
            ("offset=x", ListError::Offset),
            ("offset=9223372036854775808", ListError::Offset),
            ("limit=-1", ListError::Limit),
            ("limit=1001", ListError::Limit),
            ("sort=colour", ListError::Sort),
            ("dir=up", ListError::Direction),
            ("name=a%00", ListError::Nul("name")),
        ] {
            assert_eq!(ListQuery::parse(query), Err(error), "{query}");
        }
        assert_eq!(ListQuery::parse("limit=0").unwrap().limit, 0);
    }

    #[test]
    fn links_carry_the_request_with_sorted_keys() {
        let query = "limit=1&offset=1&sort=name&dir=desc";
        let links = PageLinks::new("/api/export/v1/exports", query, &ListQuery::parse(query).unwrap(), 4);
        let link = |offset| format!("/api/export/v1/exports?dir=desc&limit=1&offset={offset}&sort=name");
        assert_eq!(
            links,
            PageLinks { first: link(0), next: Some(link(2)), previous: Some(link(0)), last: link(3) }
        );
    }

    #[test]
    fn an_empty_listing_and_a_bare_count_have_no_next_and_no_previous() {
        for (query, count) in [("", 0), ("limit=0", 7)] {
            let links = PageLinks::new("/x", query, &ListQuery::parse(query).unwrap(), count);
            assert_eq!((links.next, links.previous), (None, None));
            assert!(links.last.ends_with("offset=0"));
        }
    }

    #[test]
    fn the_last_page_has_no_next() {
        let query = "limit=2&offset=4";
        let links = PageLinks::new("/x", query, &ListQuery::parse(query).unwrap(), 5);
        assert_eq!(links.next, None);
        assert_eq!(links.last, "/x?limit=2&offset=4");
    }
}
