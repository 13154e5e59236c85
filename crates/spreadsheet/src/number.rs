//! What a spreadsheet takes for a number, so that a sign at its beginning is harmless.

/// A longer one is no number that a spreadsheet would compute with.
pub(crate) const MAX_BYTES: usize = 64;

/// Whether `cell` is a sign, digits with at most one decimal point, and maybe an exponent.
pub(crate) fn is_number(cell: &[u8]) -> bool {
    let unsigned = cell.strip_prefix(b"+").or_else(|| cell.strip_prefix(b"-")).unwrap_or(cell);
    let (mantissa, exponent) = match unsigned.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e')) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let is_mantissa = are_digits(whole) && are_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    is_mantissa && exponent.is_none_or(is_exponent)
}

fn is_exponent(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-")).unwrap_or(text);
    !digits.is_empty() && are_digits(digits)
}

fn are_digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
}

/// Whether more bytes could make a number of a cell that begins with a sign.
pub(crate) fn may_belong_to_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_decimals_with_an_exponent_are_numbers_and_nothing_else_is() {
        for number in ["-1", "+1", "-1.5", "+.5", "-5.", "-1e9", "-1.5E-10", "+0"] {
            assert!(is_number(number.as_bytes()), "{number}");
        }
        for other in ["-", "+", "-.", "-e9", "-1e", "-1-1", "+1+1", "--1", "-1.2.3", "-1e9e9", "-a", "-1e+"] {
            assert!(!is_number(other.as_bytes()), "{other}");
        }
    }
}
