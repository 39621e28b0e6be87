use proptest::prelude::*;
use serde_json::json;

use super::*;

const SCHEMA: Schema = Schema { kind: "manifest", format: 2, features: &["pins"] };

fn features(read: &[&str], write: &[&str]) -> Features {
    let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    Features { must_read: owned(read), must_write: owned(write), ..Features::default() }
}

/// The format as DESIGN 4 has it, to the byte; it must never change.
#[test]
fn the_bytes_of_an_envelope_are_fixed() {
    let object = encode(&SCHEMA, &features(&["pins"], &[]), &json!({"a": 1, "b": "é"})).unwrap();
    let expected = "{\"esker\":\"manifest\",\"format\":2,\"must_read\":[\"pins\"],\"must_write\":[],\
                    \"must_collect\":[],\"crc32c\":\"ab65563e\"}\n{\"a\":1,\"b\":\"é\"}\n";
    assert_eq!(std::str::from_utf8(&object).unwrap(), expected);
    let opened = decode(&SCHEMA, &object).unwrap();
    assert_eq!(opened.body, "{\"a\":1,\"b\":\"é\"}");
    assert_eq!(opened.features, features(&["pins"], &[]));
}

#[test]
fn unknown_features_refuse_by_name_reading_or_only_writing() {
    let object = encode(&SCHEMA, &features(&["encrypted"], &[]), &json!(1)).unwrap();
    let e = decode(&SCHEMA, &object).unwrap_err();
    assert!(e.is_refusal() && e.to_string().contains("'encrypted'"), "{e}");
    let object = encode(&SCHEMA, &features(&[], &["pins", "deletes"]), &json!(1)).unwrap();
    let opened = decode(&SCHEMA, &object).unwrap();
    let e = opened.check_writable().unwrap_err();
    assert!(e.is_refusal() && e.to_string().contains("'deletes'"), "{e}");
    let object = encode(&SCHEMA, &features(&["pins"], &["pins"]), &json!(1)).unwrap();
    decode(&SCHEMA, &object).unwrap().check_writable().unwrap();
}

#[test]
fn each_list_refuses_what_it_is_for_and_no_more() {
    // (list, may be read, written after, deleted)
    let cases =
        [("must_read", false, false, false), ("must_write", true, false, false), ("must_collect", true, true, false)];
    for (list, read, written, deleted) in cases {
        let mut features = Features::default();
        let names = match list {
            "must_read" => &mut features.must_read,
            "must_write" => &mut features.must_write,
            _ => &mut features.must_collect,
        };
        names.push("staged".to_owned());
        let opened = decode(&SCHEMA, &encode(&SCHEMA, &features, &json!(1)).unwrap());
        assert_eq!(opened.is_ok(), read, "{list}");
        let Ok(opened) = opened else { continue };
        assert_eq!(opened.features, features, "{list}");
        assert_eq!(check_writable(&SCHEMA, &opened.features).is_ok(), written, "{list}");
        let refused = check_collectable(&SCHEMA, &opened.features);
        assert_eq!(refused.is_ok(), deleted, "{list}");
        assert!(refused.unwrap_err().to_string().contains("'staged'"), "{list}");
    }
}

#[test]
fn a_later_format_is_refused_before_its_body_is_looked_at_and_an_earlier_one_is_read() {
    let line = |format: u32| {
        format!("{{\"esker\":\"manifest\",\"format\":{format},\"must_read\":[],\"must_write\":[],\"crc32c\":\"")
    };
    let e = decode(&SCHEMA, &Bytes::from(format!("{}zzz\"}}\n???", line(3)))).unwrap_err();
    assert_eq!(e, EnvelopeError::Format { kind: "manifest", found: 3, known: 2 });
    let body = "[]";
    let object = Bytes::from(format!("{}{:08x}\"}}\n{body}\n", line(1), crc32c::crc32c(body.as_bytes())));
    assert_eq!(decode(&SCHEMA, &object).unwrap().format, 1);
}

#[test]
fn unknown_fields_of_the_first_line_and_of_a_body_survive_a_rewrite() {
    let body = "{\"known\":1,\"later\":{\"x\":[1,2]}}";
    let first = format!(
        "{{\"esker\":\"manifest\",\"format\":2,\"hint\":7,\"must_read\":[],\"must_write\":[],\"crc32c\":\"{:08x}\"}}",
        crc32c::crc32c(body.as_bytes())
    );
    #[derive(Serialize, Deserialize)]
    struct Body {
        known: u32,
        #[serde(flatten)]
        unknown: Unknown,
    }
    let opened = decode(&SCHEMA, &Bytes::from(format!("{first}\n{body}\n"))).unwrap();
    let parsed: Body = opened.parse().unwrap();
    let again = encode(&SCHEMA, &opened.features, &Body { known: 2, unknown: parsed.unknown }).unwrap();
    assert_eq!(decode(&SCHEMA, &again).unwrap().body, "{\"known\":2,\"later\":{\"x\":[1,2]}}");
    assert_eq!(decode(&SCHEMA, &again).unwrap().features.unknown["hint"], json!(7));
}

#[test]
fn what_is_of_another_kind_is_refused() {
    let other = Schema { kind: "state", ..SCHEMA };
    let object = encode(&other, &Features::default(), &json!(1)).unwrap();
    let e = decode(&SCHEMA, &object).unwrap_err();
    assert!(!e.is_refusal() && e.to_string().contains("'state'"), "{e}");
}

proptest! {
    #[test]
    fn no_change_of_a_body_goes_unnoticed(text in ".{0,200}", at: prop::sample::Index, flip in 1u8..=255) {
        let object = encode(&SCHEMA, &Features::default(), &json!({ "text": text })).unwrap();
        let parsed: serde_json::Value = decode(&SCHEMA, &object).unwrap().parse().unwrap();
        prop_assert_eq!(&parsed["text"], &json!(text));
        let body = object.iter().position(|b| *b == b'\n').unwrap() + 1;
        let mut spoilt = object.to_vec();
        let at = body + at.index(spoilt.len() - body);
        spoilt[at] ^= flip;
        prop_assert!(decode(&SCHEMA, &spoilt.into()).is_err());
        prop_assert!(decode(&SCHEMA, &object.slice(..at)).is_err(), "cut at {}", at);
    }

    #[test]
    fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&SCHEMA, &bytes.into());
    }
}
