use proptest::prelude::*;

use super::*;

fn changes(of: &[(u8, Option<u8>)]) -> Changes {
    of.iter().map(|(key, value)| (format!("k{key}"), value.map(|v| Json::of(&v)))).collect()
}

proptest! {
    #[test]
    fn what_a_frame_says_comes_back(of in prop::collection::vec((0u8..200, any::<Option<u8>>()), 0..20)) {
        let mut expected = Items::new();
        let mut removed = Vec::new();
        for (key, value) in changes(&of) {
            removed.retain(|k| *k != key);
            match value {
                Some(value) => drop(expected.insert(key, value)),
                None => {
                    expected.remove(&key);
                    removed.push(key);
                }
            }
        }
        let decoded = decode(&encode(changes(&of))).unwrap();
        prop_assert_eq!(decoded.len(), expected.len() + removed.len());
        for (key, value) in decoded {
            prop_assert_eq!(value.as_ref(), expected.get(&key));
        }
    }
}

#[test]
fn a_frame_that_is_no_object_is_refused() {
    assert!(decode(b"[1]").is_err());
    assert!(decode(b"{\"k\":").is_err());
}
