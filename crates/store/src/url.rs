//! The shape of a connection URL, looked at before libpq sees it: its own messages repeat what they do not
//! understand, and that is the password as a rule.

use domain::Secret;
use serde::{Deserialize, Deserializer, de};

/// What is wrong with a URL. It repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidUrl {
    #[error("it must begin with postgres:// or postgresql://")]
    Scheme,
    #[error("`@` may stand only between the password and the host: in them it is written %40")]
    At,
    #[error("`%` must be followed by two hexadecimal digits: by itself it is written %25")]
    Percent,
    #[error("an address in brackets must be whole, as in [::1]:5432")]
    Brackets,
    #[error("the port is not a number; in a password `:` is written %3A, `/` %2F and `?` %3F")]
    Port,
    #[error("its parameters must have the form ?name=value&name=value")]
    Parameters,
}

/// Reads a URL of the settings.
///
/// # Errors
/// [`InvalidUrl`], as the deserializer's.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let url = Secret::deserialize(deserializer)?;
    check(url.expose()).map_err(|reason| de::Error::custom(format!("not a connection URL: {reason}")))?;
    Ok(url)
}

/// `postgres://[user[:password]@][host[:port][,…]][/database][?name=value[&…]]`, as libpq reads it
/// (PostgreSQL 15, section 34.1.1.2).
fn check(url: &str) -> Result<(), InvalidUrl> {
    let rest = ["postgres://", "postgresql://"].into_iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.ok_or(InvalidUrl::Scheme)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (_, hosts) = authority.split_once('@').unwrap_or_default();
    if rest[authority.len()..].contains('@') || hosts.contains('@') {
        return Err(InvalidUrl::At);
    }
    let escapes = rest.split('%').skip(1);
    if !escapes.into_iter().all(is_escape) {
        return Err(InvalidUrl::Percent);
    }
    let hosts = if authority.contains('@') { hosts } else { authority };
    hosts.split(',').try_for_each(check_host)?;
    let parameters = rest.split_once('?').map(|(_, parameters)| parameters);
    let is_pair = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    if parameters.is_some_and(|parameters| !parameters.split('&').all(is_pair)) {
        return Err(InvalidUrl::Parameters);
    }
    Ok(())
}

/// Whether what follows a `%` is a byte in hexadecimal, and not that of NUL, which libpq takes nowhere.
fn is_escape(rest: &str) -> bool {
    let digits = rest.get(..2).unwrap_or_default();
    digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && digits != "00"
}

/// A name or an address, the latter in brackets when it has colons, and maybe a port.
fn check_host(host: &str) -> Result<(), InvalidUrl> {
    let after = match host.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((address, after)) if !address.is_empty() && (after.is_empty() || after.starts_with(':')) => {
                after
            }
            _ => return Err(InvalidUrl::Brackets),
        },
        None => host,
    };
    let port = after.split_once(':').map_or("", |(_, port)| port);
    if port.bytes().all(|byte| byte.is_ascii_digit()) { Ok(()) } else { Err(InvalidUrl::Port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libpq_reads_is_taken() {
        for url in [
            "postgres://localhost/exports",
            "postgresql://",
            "postgres:///exports?host=/run/postgresql",
            "postgres://user:p%40ss%2Fword%25@db.example.com:5432/exports?sslmode=verify-full&sslrootcert=/ca.pem",
            "postgres://user@[::1]:5432/exports",
            "postgres://user@one:5432,two:5433/exports?target_session_attrs=read-write",
            "postgres://user@%2Frun%2Fpostgresql/exports?options=-csearch_path%3Da",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn a_url_that_libpq_would_repeat_in_its_message_is_refused_in_words_of_our_own() {
        for (url, reason) in [
            ("host=db password=hunter2", InvalidUrl::Scheme),
            ("postgres://user:hunt@er2@db/exports", InvalidUrl::At),
            ("postgres://user:hunter/2@db/exports", InvalidUrl::At),
            ("postgres://user:hunter?2@db/exports", InvalidUrl::At),
            ("postgres://user:hunter%2@db/exports", InvalidUrl::Percent),
            ("postgres://user:hunter%xx2@db/exports", InvalidUrl::Percent),
            ("postgres://user:hunter2%00@db/exports", InvalidUrl::Percent),
            ("postgres://user:hunter2@[::1]5432/exports", InvalidUrl::Brackets),
            ("postgres://user:hunter2@[]:5432/exports", InvalidUrl::Brackets),
            ("postgres://user:hunter2@[db/exports", InvalidUrl::Brackets),
            ("postgres://user:hunter2", InvalidUrl::Port),
            ("postgres://user:secret@db:hunter2/exports", InvalidUrl::Port),
            ("postgres://user:secret@db/exports?hunter2", InvalidUrl::Parameters),
        ] {
            assert_eq!(check(url), Err(reason), "{url}");
            assert!(!reason.to_string().contains("hunter"), "{reason}");
        }
    }
}
