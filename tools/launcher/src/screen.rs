//! What a person sees.

use std::fmt;
use std::time::{Duration, Instant};

use crate::identity;

/// Shows the time since it was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since then.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl fmt::Display for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&seconds(self.elapsed()))
    }
}

/// `1.25 s`, or `12 ms` below a second.
pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

/// Groups digits in threes.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three requests to try by hand, one after the other; `export_id` is one that exists already.
pub(crate) fn show_examples(public_url: &str, export_id: Option<&str>) {
    let header = format!("{}: {}", identity::HEADER, identity::demo_customer());
    let exports = format!("{public_url}/api/export/v1/exports");
    let id = export_id.unwrap_or("ID");
    println!("\nTry it (the header says who is asking; a gateway sets it in real life):\n");
    println!("  # ask for an export: the answer has its id");
    println!("  curl -sS '{exports}' -H '{header}' \\");
    println!("    -H 'content-type: application/json' -d '{}'\n", example_request());
    println!(
        "  # see how far it is{}",
        if export_id.is_none() { " (put the id in place of ID)" } else { "" }
    );
    println!("  curl -sS '{exports}/{id}/status' -H '{header}'\n");
    println!("  # download the archive");
    println!("  curl -sS -OJ '{exports}/{id}' -H '{header}'");
}

fn example_request() -> String {
    r#"{"name":"Libraries","format":"csv","sources":[{"application":"inventory","resource":"packages","filters":{"section":"libs"}}]}"#
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn the_example_request_is_json() {
        assert!(serde_json::from_str::<serde_json::Value>(&example_request()).is_ok());
    }
}
