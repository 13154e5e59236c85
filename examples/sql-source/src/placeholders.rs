//! `:name` in a query: what stands there instead.

/// Replaces each `:name` in `query` by what `replacement` says of the name. In strings, quoted names and comments,
/// and in `::type`, nothing is replaced.
///
/// # Errors
/// The first name that `replacement` does not know.
pub fn replace(query: &str, replacement: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut replaced, mut rest) = (String::with_capacity(query.len()), query);
    while !rest.is_empty() {
        let length = passed_over(rest);
        if length > 0 {
            replaced.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        // At a placeholder.
        let name = &rest[1..=name_length(&rest[1..])];
        replaced.push_str(&replacement(name).ok_or_else(|| name.to_owned())?);
        rest = &rest[1 + name.len()..];
    }
    Ok(replaced)
}

/// How many bytes at the beginning of `sql` stay as they are; 0 at a placeholder.
fn passed_over(sql: &str) -> usize {
    if sql.starts_with("::") {
        return 2;
    }
    if sql.starts_with("--") {
        return sql.find('\n').unwrap_or(sql.len());
    }
    if sql.starts_with("/*") {
        return comment(sql);
    }
    if sql.starts_with(['E', 'e']) && sql[1..].starts_with('\'') {
        return 1 + quoted(&sql[1..], '\'', true);
    }
    let Some(first) = sql.chars().next() else { return 0 };
    match first {
        ':' => usize::from(name_length(&sql[1..]) == 0),
        '\'' | '"' => quoted(sql, first, false),
        '$' => dollar_quoted(sql),
        // A word as a whole: its last letter may look like the beginning of something.
        _ => sql
            .find(|c| !is_of_word(c))
            .filter(|length| *length > 0)
            .unwrap_or_else(|| if is_of_word(first) { sql.len() } else { first.len_utf8() }),
    }
}

/// A text in quotes. One that is doubled within begins a new text right behind, which is the same.
fn quoted(sql: &str, quote: char, escapes: bool) -> usize {
    let mut escaped = false;
    for (place, c) in sql.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if escapes && c == '\\' {
            escaped = true;
        } else if c == quote {
            return place + 1;
        }
    }
    sql.len()
}

/// `$$…$$` or `$tag$…$tag$`, or just the sign.
fn dollar_quoted(sql: &str) -> usize {
    let tag = 1 + sql[1..].find(|c| !is_of_word(c)).unwrap_or(sql.len() - 1);
    if !sql[tag..].starts_with('$') {
        return 1;
    }
    let delimiter = &sql[..=tag];
    sql[delimiter.len()..].find(delimiter).map_or(sql.len(), |end| end + 2 * delimiter.len())
}

/// A comment, which may hold others.
fn comment(sql: &str) -> usize {
    let (mut depth, mut place) = (0_u32, 0);
    while let Some(found) = sql[place..].find(['*', '/']) {
        place += found;
        let at = &sql[place..];
        if at.starts_with("/*") {
            (depth, place) = (depth + 1, place + 2);
        } else if at.starts_with("*/") {
            (depth, place) = (depth.saturating_sub(1), place + 2);
            if depth == 0 {
                return place;
            }
        } else {
            place += 1;
        }
    }
    sql.len()
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the name that `text` begins with: a small letter or `_`, then these and digits.
pub(crate) fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.find(|c| !is_of_name(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(query: &str) -> Result<String, String> {
        replace(query, |name| (name == "a").then(|| "<A>".to_owned()))
    }

    #[test]
    fn placeholders_are_replaced_wherever_values_can_be() {
        for (query, expected) in [
            ("SELECT :a", "SELECT <A>"),
            ("x=:a AND(:a)::int", "x=<A> AND(<A>)::int"),
            ("é = :a -- :a\n, :a", "é = <A> -- :a\n, <A>"),
        ] {
            assert_eq!(replaced(query).unwrap(), expected);
        }
    }

    #[test]
    fn nothing_is_replaced_where_no_value_can_be() {
        for query in [
            "'12:a' ':a'':a'",
            r"E'\':a' e'\\' ':a'",
            r#"":a" "x"":a""#,
            "$$ :a $$ $tag$ $$ :a $tag$",
            "/* :a /* :a */ :a */",
            "-- :a",
            "x::a, x[1:2], date'1:a', :",
            "'not closed :a",
        ] {
            assert_eq!(replaced(query).unwrap(), query);
        }
    }

    #[test]
    fn a_name_that_is_not_known_is_told() {
        assert_eq!(replaced("SELECT :b"), Err("b".to_owned()));
        assert_eq!(replaced("$1 :ab"), Err("ab".to_owned()));
    }
}
