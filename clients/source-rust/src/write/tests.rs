use serde_json::{Value, json};

use super::*;

#[derive(Serialize, Clone)]
struct Item {
    name: String,
    size: Option<u64>,
}

fn item(name: &str, size: Option<u64>) -> Item {
    Item { name: name.to_owned(), size }
}

async fn collect(mut bytes: ByteStream) -> Result<String, Refusal> {
    let mut text = Vec::new();
    while let Some(chunk) = bytes.next().await {
        text.extend_from_slice(&chunk?);
    }
    Ok(String::from_utf8(text).unwrap())
}

fn plain(rows: Vec<Item>, format: Format) -> ByteStream {
    written(stream::iter(rows).map(|row| Ok(Plain(row))), format, None)
}

fn table(rows: Vec<Vec<Value>>, format: Format) -> ByteStream {
    let columns: Arc<[String]> = ["name".to_owned(), "size".to_owned()].into();
    let header = Arc::clone(&columns);
    let record = move |cells| Ok(Record { columns: Arc::clone(&columns), cells });
    written(stream::iter(rows).map(record), format, Some(header))
}

#[tokio::test]
async fn json_is_an_array_of_objects() {
    let rows = vec![item("a\"b", Some(1)), item("c", None)];
    let text = collect(plain(rows, Format::Json)).await.unwrap();
    let expected = json!([{"name": "a\"b", "size": 1}, {"name": "c", "size": null}]);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    let rows = vec![vec![json!("a\"b"), json!(1)], vec![json!("c"), Value::Null]];
    assert_eq!(collect(table(rows, Format::Json)).await.unwrap(), text);
    assert_eq!(collect(plain(vec![], Format::Json)).await.unwrap(), "[]\n");
}

#[tokio::test]
async fn csv_has_a_header_and_quotes_what_needs_it() {
    let expected = "name,size\r\n\"a,\"\"b\"\"\",1\r\nc,\r\n";
    let rows = vec![item("a,\"b\"", Some(1)), item("c", None)];
    assert_eq!(collect(plain(rows, Format::Csv)).await.unwrap(), expected);
    let rows = vec![vec![json!("a,\"b\""), json!(1)], vec![json!("c"), Value::Null]];
    assert_eq!(collect(table(rows, Format::Csv)).await.unwrap(), expected);
    assert_eq!(collect(table(vec![], Format::Csv)).await.unwrap(), "name,size\r\n");
}

#[tokio::test]
async fn many_rows_come_in_chunks_with_one_header() {
    let rows: Vec<Item> = (0..50_000).map(|number| item("row", Some(number))).collect();
    let mut chunks = plain(rows, Format::Csv);
    let (mut text, mut largest) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.unwrap();
        largest = largest.max(chunk.len());
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(text).unwrap();
    assert_eq!((text.lines().count(), text.matches("name").count()), (50_001, 1));
    assert!(text.ends_with("row,49999\r\n") && largest < 2 * CHUNK_BYTES, "{largest}");
}

#[tokio::test(start_paused = true)]
async fn slow_rows_do_not_wait_for_a_full_chunk() {
    for format in [Format::Csv, Format::Json] {
        let slow = stream::iter([item("a", None), item("b", None)]).then(|row| async {
            tokio::time::sleep(LONGEST_HELD * 3).await;
            Ok(Plain(row))
        });
        let chunks: Vec<_> = written(slow, format, None).collect().await;
        assert!(chunks.len() >= 2, "{chunks:?}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_or_written_is_a_refusal() {
    for format in [Format::Csv, Format::Json] {
        let rows = vec![Ok(Plain(item("a", None))), Err(Refusal::new(507, "the disk is full"))];
        assert_eq!(collect(written(stream::iter(rows), format, None)).await.unwrap_err().code, 507);
        let uneven = vec![vec![json!("a"), json!(1)], vec![json!("only one")]];
        assert_eq!(collect(table(uneven, format)).await.unwrap_err().code, 500);
    }
}

#[derive(Serialize)]
struct Sometimes {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// The rows, the second some time after the first.
fn later<T: Send + 'static>(
    rows: [T; 2],
    pause: Duration,
) -> impl Stream<Item = Result<T, Refusal>> + Send + 'static {
    stream::iter(rows).then(move |row| async move {
        tokio::time::sleep(pause).await;
        Ok(row)
    })
}

#[tokio::test(start_paused = true)]
async fn csv_whose_rows_do_not_have_the_same_columns_is_a_refusal_however_late_that_shows() {
    for pause in [Duration::ZERO, LONGEST_HELD * 3] {
        let rows = [Some(1), None].map(|size| Plain(Sometimes { name: "row", size }));
        let uneven = written(later(rows, pause), Format::Csv, None);
        assert_eq!(collect(uneven).await.unwrap_err().code, 500);

        let columns: Arc<[String]> = ["name".to_owned(), "size".to_owned()].into();
        let header = Some(Arc::clone(&columns));
        let rows = [vec![json!("row"), json!(1)], vec![json!("only one")]];
        let rows = rows.map(|cells| Record { columns: Arc::clone(&columns), cells });
        let uneven = written(later(rows, pause), Format::Csv, header);
        assert_eq!(collect(uneven).await.unwrap_err().code, 500);
    }
}
