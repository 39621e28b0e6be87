//! The topics that a member of type `consumer` is subscribed to, read from what it tells the leader.
//!
//! Only the beginning of the message is read, which all of its versions have in common: a version, then the names.
use std::collections::BTreeSet;

/// Names of topics, or `None` for something else.
pub fn topics(metadata: &[u8]) -> Option<BTreeSet<String>> {
    let mut rest = metadata.get(2..)?;
    let count = i32::from_be_bytes(take(&mut rest)?);
    let mut topics = BTreeSet::new();
    for _ in 0..u32::try_from(count).ok()? {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, after) = rest.split_at_checked(length)?;
        topics.insert(std::str::from_utf8(name).ok()?.to_owned());
        rest = after;
    }
    Some(topics)
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_of_a_subscription_is_refused_and_what_follows_is_ignored() {
        let whole = b"\x00\x03\x00\x00\x00\x02\x00\x01a\x00\x02bc\xff\xff";
        let names = |bytes: &[u8]| topics(bytes).map(|names| names.into_iter().collect::<Vec<_>>());
        assert_eq!(names(whole), Some(vec!["a".to_owned(), "bc".to_owned()]));
        for length in 0..whole.len() - 2 {
            assert_eq!(names(&whole[..length]), None, "{length}");
        }
        assert_eq!(names(b"\x00\x00\xff\xff\xff\xff"), None);
        assert_eq!(names(b"\x00\x00\x00\x00\x00\x01\xff\xff"), None);
        assert_eq!(names(b"\x00\x00\x00\x00\x00\x01\x00\x01\xff"), None);
    }
}
