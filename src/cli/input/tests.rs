use super::*;

fn text(line: &'static str, separator: Option<&str>) -> Result<Input, InputError> {
    parse(Bytes::from_static(line.as_bytes()), Format::Text, separator)
}

fn object(line: &str) -> Result<Input, InputError> {
    parse(Bytes::copy_from_slice(line.as_bytes()), Format::Json, None)
}

fn pair(key: Option<&'static str>, value: Option<&'static str>) -> Input {
    let bytes = |text: Option<&'static str>| text.map(|text| Bytes::from_static(text.as_bytes()));
    Input { key: bytes(key), value: bytes(value), ..Input::default() }
}

#[test]
fn lines_are_split_at_the_first_separator() {
    assert_eq!(text("a:b", None).unwrap(), pair(None, Some("a:b")));
    assert_eq!(text("", None).unwrap(), pair(None, Some("")));
    assert_eq!(text("a:b:c", Some(":")).unwrap(), pair(Some("a"), Some("b:c")));
    assert_eq!(text("::", Some("::")).unwrap(), pair(Some(""), Some("")));
    assert!(text("ab", Some("::")).unwrap_err().to_string().contains("'::' is not in it"));
    assert!(text("", Some("\t")).unwrap_err().to_string().contains("'\\t'"));
}

#[test]
fn separators_are_unescaped() {
    for (typed, meant) in [(":", ":"), ("\\t", "\t"), ("\\\\", "\\"), ("a\\0b", "a\0b"), ("\t", "\t")] {
        assert_eq!(separator(typed).as_deref(), Ok(meant));
    }
    assert!(separator("").is_err());
    assert!(separator("\\").is_err());
    assert!(separator("\\x").is_err());
}

#[test]
fn values_of_any_kind_are_taken_as_they_stand() {
    for (line, input) in [
        (r#"{"value":"v"}"#, pair(None, Some("v"))),
        (r#"{"value":null}"#, pair(None, None)),
        (r#"{"key":"k","value":"a\nb"}"#, pair(Some("k"), Some("a\nb"))),
        (r#"{"key":"","value": {"b": [1, 2.50]} }"#, pair(Some(""), Some(r#"{"b": [1, 2.50]}"#))),
        (r#"{"key_base64":"YQ==","value_base64":""}"#, pair(Some("a"), Some(""))),
        (r#"{"topic":"other","offset":9,"value":1}"#, pair(None, Some("1"))),
    ] {
        assert_eq!(object(line).unwrap(), input, "{line}");
    }
}

#[test]
fn headers_timestamp_and_partition_are_kept() {
    let line = r#"{"partition":2,"timestamp":-1,"value":"","headers":[["a","1"],["a",null],["b",{"base64":"/w=="}]]}"#;
    let input = object(line).unwrap();
    assert_eq!((input.partition, input.timestamp), (Some(2), Some(-1)));
    let values: Vec<_> = input.headers.iter().map(|header| header.value.as_deref()).collect();
    assert_eq!(values, [Some(&b"1"[..]), None, Some(&b"\xff"[..])]);
    assert!(input.size() >= 16 + 3 + 2);
}

#[test]
fn objects_that_would_be_misread_are_refused() {
    for (line, says) in [
        ("plain", "expects an object"),
        ("[1]", "expects an object"),
        (r#"{"vlaue":"x"}"#, "unknown field `vlaue`"),
        (r#"{"key":"k"}"#, "neither value nor value_base64"),
        (r#"{"value":1,"value_base64":"YQ=="}"#, "both value and value_base64"),
        (r#"{"key":"","key_base64":"","value":1}"#, "both key"),
        (r#"{"value_base64":"?"}"#, "value_base64 is not base64"),
        (r#"{"value":1,"partition":-1}"#, "partition -1"),
        (r#"{"value":1} x"#, "trailing"),
    ] {
        let error = object(line).unwrap_err().to_string();
        assert!(error.contains(says), "{line}: {error}");
    }
}

#[test]
fn what_consume_writes_can_be_produced_again() {
    use crate::record::{Record, TimestampType};
    let record = Record {
        offset: 1,
        timestamp: 5,
        timestamp_type: TimestampType::Create,
        leader_epoch: 0,
        key: Some(Bytes::from_static(b"\xff")),
        value: Some(Bytes::from_static(b"{\"a\":1}")),
        headers: vec![Header::new(b"h", Some(b"\xfe")), Header::new(b"n", None)],
    };
    let mut out = Vec::new();
    crate::cli::output::write(&mut out, crate::cli::output::Format::Json, "t", 4, &record.as_ref()).unwrap();
    let input = parse(Bytes::from(out), Format::Json, None).unwrap();
    let again = Input {
        partition: Some(4),
        timestamp: Some(5),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone(),
    };
    assert_eq!(input, again);
}
