//! What comes out, compared with what another CSV parser reads before and after.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use spreadsheet::{Csv, CsvOptions, InvalidState, Utf16};

const GUARD: CsvOptions = CsvOptions { formula_guard: true, bom: false };

/// The result for `file`, handed over in chunks that end at `cuts`, all to one [`Csv`] and each to one that goes
/// on from the state of the one before.
fn pass(options: CsvOptions, file: &[u8], cuts: &[usize]) -> Vec<u8> {
    try_pass(options, file, cuts).unwrap()
}

fn try_pass(options: CsvOptions, file: &[u8], cuts: &[usize]) -> Result<Vec<u8>, Utf16> {
    let (mut csv, mut out, mut from) = (Csv::new(options), Vec::new(), 0);
    let (mut state, mut out_of_states) = (csv.to_bytes(), Vec::new());
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (file.len() + 1)).collect();
    cuts.sort_unstable();
    for cut in cuts.into_iter().chain([file.len()]) {
        let pushed = csv.push(&file[from..cut], &mut out);
        let mut other = Csv::from_bytes(options, &state).unwrap();
        assert_eq!(other.push(&file[from..cut], &mut out_of_states), pushed);
        pushed?;
        (state, from) = (other.to_bytes(), cut);
    }
    let all = csv.finish(&mut out);
    assert_eq!(Csv::from_bytes(options, &state).unwrap().finish(&mut out_of_states), all);
    assert_eq!(out, out_of_states);
    all.map(|()| out)
}

fn guarded(file: &str) -> String {
    String::from_utf8(pass(GUARD, file.as_bytes(), &[])).unwrap()
}

fn cells(file: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let rows = reader.byte_records().map(|row| row.unwrap().iter().map(<[u8]>::to_vec).collect());
    rows.collect()
}

fn is_number(cell: &[u8]) -> bool {
    let text = std::str::from_utf8(cell).unwrap_or("x");
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') && digits.parse::<f64>().is_ok()
}

/// The cell as it must come out, by its text alone.
fn harmless(cell: &[u8]) -> Vec<u8> {
    let like_formula = matches!(cell.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'));
    if like_formula && !is_number(cell) { [b"'", cell].concat() } else { cell.to_vec() }
}

#[test]
fn a_cell_that_begins_like_a_formula_gets_a_guard() {
    assert_eq!(guarded("a,=1+1,b\r\n"), "a,'=1+1,b\r\n");
    assert_eq!(
        guarded("@SUM(A1)\n+cmd|'/c calc'!A0\n-x\n\tx\n"),
        "'@SUM(A1)\n'+cmd|'/c calc'!A0\n'-x\n'\tx\n"
    );
    assert_eq!(guarded("\"=1,2\",\"\r=1\"\n"), "\"'=1,2\",\"'\r=1\"\n");
    assert_eq!(guarded("=1"), "'=1");
    assert_eq!(guarded("-"), "'-");
}

#[test]
fn numbers_stay_numbers() {
    for file in ["-1,+2.5,-1e9\r\n", "\"-1\",\"+2.5\"\n", "-1", "\"-1.5E-3\"", "-1\r-2\r"] {
        assert_eq!(guarded(file), file);
    }
    assert_eq!(guarded("-1+1,\"-1-1\",\"-1\"\"\"\n"), "'-1+1,\"'-1-1\",\"'-1\"\"\"\n");
    let long = format!("-{}", "1".repeat(100));
    assert_eq!(guarded(&long), format!("'{long}"));
}

#[test]
fn everything_else_stays_byte_by_byte() {
    for file in [
        "",
        "\n\n\r\n",
        "a,b,c\r\n1,2,3",
        "\"a\"\"=b\",\"x\ny\",\"\"\n",
        " =1,a=1,'=1\n",
        "\u{fc}ber,\u{1F600}\n",
        "a \"quote\" inside,b\n",
    ] {
        assert_eq!(guarded(file), file);
    }
    let invalid_utf8 = b"\xff\xfd,\x80\n";
    assert_eq!(pass(GUARD, invalid_utf8, &[]), invalid_utf8);
}

#[test]
fn text_behind_empty_quotes_is_the_beginning_of_the_cell() {
    assert_eq!(guarded("\"\"=1\n"), "\"\"'=1\n");
    assert_eq!(guarded("\"\"-1\n\"\"-1x\n"), "\"\"-1\n\"\"'-1x\n");
}

#[test]
fn a_byte_order_mark_is_put_before_the_file_once_and_is_no_part_of_a_cell() {
    let both = CsvOptions { formula_guard: true, bom: true };
    for cuts in [&[][..], &[1], &[1, 2], &[2, 3, 4]] {
        assert_eq!(pass(both, b"=a", cuts), b"\xef\xbb\xbf'=a");
        assert_eq!(pass(both, b"\xef\xbb\xbf=a", cuts), b"\xef\xbb\xbf'=a");
        assert_eq!(pass(GUARD, b"\xef\xbb\xbf=a", cuts), b"\xef\xbb\xbf'=a");
    }
    assert_eq!(pass(both, b"", &[]), b"\xef\xbb\xbf");
    assert_eq!(pass(both, b"\xef\xbb", &[]), b"\xef\xbb\xbf\xef\xbb");
    assert_eq!(pass(CsvOptions { bom: true, formula_guard: false }, b"=a", &[]), b"\xef\xbb\xbf=a");
}

#[test]
fn a_file_in_utf_16_is_refused_because_its_cells_would_not_be_found() {
    let text = "a\n=1\n".encode_utf16();
    let little: Vec<u8> =
        b"\xff\xfe".iter().copied().chain(text.clone().flat_map(u16::to_le_bytes)).collect();
    let big: Vec<u8> = b"\xfe\xff".iter().copied().chain(text.flat_map(u16::to_be_bytes)).collect();
    for file in [&little[..], &big, b"\xff\xfe", b"\xff\xfea"] {
        for cuts in [&[][..], &[1], &[1, 2], &[3]] {
            for options in [GUARD, CsvOptions { formula_guard: false, bom: true }] {
                assert_eq!(try_pass(options, file, cuts), Err(Utf16));
            }
        }
    }
    for file in [&b"\xff"[..], b"\xffa", b"\xfe", b"\xef\xff\xfe"] {
        assert_eq!(pass(GUARD, file, &[1]), file);
    }
}

#[test]
fn a_cell_of_a_hundred_megabytes_passes_by_without_being_kept() {
    let chunk = vec![b'7'; 1 << 20];
    for beginning in ["\"=", "-", "\"-", "\"\"\""] {
        let mut csv = Csv::new(GUARD);
        let (mut out, mut passed) = (Vec::new(), 0);
        csv.push(beginning.as_bytes(), &mut out).unwrap();
        for round in 1..=100 {
            csv.push(&chunk, &mut out).unwrap();
            passed += out.len();
            assert!(passed + 64 >= round * chunk.len(), "{beginning}: {passed} bytes in round {round}");
            out.clear();
        }
        csv.finish(&mut out).unwrap();
        assert!(out.is_empty());
    }
}

#[test]
fn files_of_little_are_left_as_they_are() {
    let both = CsvOptions { formula_guard: true, bom: true };
    for file in ["", "\"", "\"\"", "a", ",", "\r\n", "a,b\r\n", "\"a", "\"a\",\"b"] {
        assert_eq!(guarded(file), file);
        assert_eq!(pass(both, file.as_bytes(), &[]), [b"\xef\xbb\xbf", file.as_bytes()].concat());
    }
    // A header that looks like a formula is a cell like any other.
    assert_eq!(guarded("=name,-sum\r\na,-1\r\n"), "'=name,'-sum\r\na,-1\r\n");
    // Quotes that do not end hold the rest of the file: what a spreadsheet sees is one cell.
    assert_eq!(guarded("\"a\n=1\n"), "\"a\n=1\n");
}

/// They are kept in the database while versions change.
#[test]
fn the_form_of_a_state_does_not_change() {
    let after = |file: &str| {
        let mut csv = Csv::new(GUARD);
        csv.push(file.as_bytes(), &mut Vec::new()).unwrap();
        String::from_utf8(csv.to_bytes()).unwrap()
    };
    let states = ["", "a,", "\"", "a", "\"a", "\"a\"", "\"\"", "-1", "\"-1", "\"-1\""].map(after);
    assert_eq!(states, ["b", "s", "S", "p", "P", "q", "e", "n-1", "N-1", "m-1"]);
}

#[test]
fn other_bytes_are_no_state() {
    let long = format!("n-{}", "1".repeat(64));
    for state in ["", "x", "bxyz", "n", "p1", &long] {
        assert_eq!(Csv::from_bytes(GUARD, state.as_bytes()).unwrap_err(), InvalidState, "{state}");
    }
}

fn some_cell() -> impl Strategy<Value = String> {
    prop_oneof![
        "[=+@\\t\\r-]{0,2}[-+0-9.e]{0,5}[a\u{e9}\",\\r\\n=]{0,3}",
        "[-+]?[0-9]{1,3}(\\.[0-9]{0,2})?(e[-+]?[0-9]{1,2})?",
    ]
}

proptest! {
    #[test]
    fn each_cell_of_a_proper_file_is_harmless_however_the_file_is_cut(
        rows in prop::collection::vec(prop::collection::vec(some_cell(), 1..4), 1..5),
        always_quoted: bool,
        cuts in prop::collection::vec(0..200_usize, 0..6),
    ) {
        let style = if always_quoted { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let mut writer = csv::WriterBuilder::new().flexible(true).quote_style(style).from_writer(Vec::new());
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let file = writer.into_inner().unwrap();
        let out = pass(GUARD, &file, &cuts);
        let expected: Vec<Vec<_>> =
            cells(&file).iter().map(|row| row.iter().map(|cell| harmless(cell)).collect()).collect();
        prop_assert_eq!(cells(&out), expected);
    }

    #[test]
    fn any_bytes_come_out_the_same_however_they_are_cut(
        file in prop::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'-'), Just(b'1'), Just(b'='), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..60),
        cuts in prop::collection::vec(0..60_usize, 0..6),
    ) {
        let whole = try_pass(GUARD, &file, &[]);
        prop_assert_eq!(&try_pass(GUARD, &file, &cuts), &whole);
        let Ok(whole) = whole else { return Ok(()) };
        // Nothing but guards is added, and nothing is lost.
        let mut rest = file.iter().peekable();
        for byte in &whole {
            if rest.next_if_eq(&byte).is_none() {
                prop_assert_eq!(*byte, b'\'');
            }
        }
        prop_assert!(rest.next().is_none());
    }
}
