use super::*;
use crate::record::{Header, Record, TimestampType};
use bytes::Bytes;

fn line(format: Format, record: &Record) -> String {
    let mut out = Vec::new();
    write(&mut out, format, "t\"x", 3, &record.as_ref()).unwrap();
    String::from_utf8(out).unwrap()
}

fn record(key: Option<&'static [u8]>, value: Option<&'static [u8]>) -> Record {
    Record {
        offset: 7,
        timestamp: -1,
        timestamp_type: TimestampType::Create,
        leader_epoch: 1,
        key: key.map(Bytes::from_static),
        value: value.map(Bytes::from_static),
        headers: Vec::new(),
    }
}

#[test]
fn values_and_pairs_are_the_bytes_as_they_are() {
    let both = record(Some(b"k"), Some(b"v\"1"));
    assert_eq!(line(Format::Value, &both), "v\"1\n");
    assert_eq!(line(Format::Kv, &both), "k\tv\"1\n");
    assert_eq!(line(Format::Kv, &record(None, None)), "\t\n");
}

#[test]
fn json_tells_null_empty_text_and_bytes_apart() {
    for (key, value, fields) in [
        (None, None, r#""key":null,"value":null"#),
        (Some(&b""[..]), Some(&b"a\nb"[..]), r#""key":"","value":"a\nb""#),
        (Some(&b"\xff"[..]), Some(&b"\x00\xfe"[..]), r#""key_base64":"/w==","value_base64":"AP4=""#),
    ] {
        let head = r#"{"topic":"t\"x","partition":3,"offset":7,"timestamp":-1,"#;
        assert_eq!(line(Format::Json, &record(key, value)), format!("{head}{fields},\"headers\":[]}}\n"));
    }
}

#[test]
fn json_headers_keep_order_duplicates_nulls_and_bytes() {
    let mut with = record(None, None);
    with.headers = vec![Header::new(b"a", Some(b"1")), Header::new(b"a", None), Header::new(b"b", Some(b"\xff"))];
    let line = line(Format::Json, &with);
    assert!(line.contains(r#""headers":[["a","1"],["a",null],["b",{"base64":"/w=="}]]"#), "{line}");
    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
}
