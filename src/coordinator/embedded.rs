//! What clients of the classic protocol embed in it, if they are consumers: the subscription that a member tells, and the
//! assignment that it is given. The leader of a classic group reads and writes both; the broker does when the group is
//! taken over by the consumer protocol.
//!
//! Both begin with a version. Later versions only append fields, so what follows the known ones is ignored.
use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};

/// The last version of both that is known here.
const LATEST: i16 = 3;

/// Partitions by the names of their topics.
pub type Named = Vec<(String, Vec<i32>)>;

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// Version in which it was written.
    pub version: i16,
    /// Topics that it wants.
    pub topics: BTreeSet<String>,
    /// Partitions that it owns; members that give everything up before they join own none.
    pub owned: Named,
    /// The generation in which it was given what it owns; -1: it does not say.
    pub generation: i32,
    /// Its rack.
    pub rack: Option<String>,
}

impl Subscription {
    /// Reads one, or `None` for something else.
    pub fn read(metadata: &[u8]) -> Option<Self> {
        let mut rest = metadata;
        let version = take(&mut rest).map(i16::from_be_bytes).filter(|version| *version >= 0)?;
        let topics = items(&mut rest, text)?.into_iter().collect();
        user_data(&mut rest)?;
        let mut read = Self { version, topics, generation: -1, ..Self::default() };
        if version >= 1 {
            read.owned = items(&mut rest, partitions)?;
        }
        if version >= 2 {
            read.generation = i32::from_be_bytes(take(&mut rest)?);
        }
        if version >= 3 {
            read.rack = nullable_text(&mut rest)?;
        }
        Some(read)
    }

    /// The topics alone, which all versions have in front.
    pub fn topics(metadata: &[u8]) -> Option<BTreeSet<String>> {
        Some(items(&mut metadata.get(2..)?, text)?.into_iter().collect())
    }
}

/// What a leader gave a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignment {
    /// The partitions.
    pub partitions: Named,
    /// Whether its way of assigning told it something else, which nobody but that can understand.
    pub has_user_data: bool,
}

impl Assignment {
    /// Reads one, or `None` for something else. No bytes at all are what a member has before its first assignment.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let mut rest = bytes.get(2..)?;
        let partitions = items(&mut rest, partitions)?;
        Some(Self { partitions, has_user_data: user_data(&mut rest)? > 0 })
    }

    /// Partitions, as a member expects them that speaks a version of the protocol.
    pub fn write(version: i16, partitions: &BTreeMap<String, Vec<i32>>) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_i16(version.clamp(0, LATEST));
        put_count(&mut bytes, partitions.len());
        for (topic, numbers) in partitions {
            bytes.put_i16(i16::try_from(topic.len()).unwrap_or(i16::MAX));
            bytes.put_slice(topic.as_bytes());
            put_count(&mut bytes, numbers.len());
            numbers.iter().for_each(|number| bytes.put_i32(*number));
        }
        bytes.put_i32(-1);
        bytes.freeze()
    }
}

fn put_count(to: &mut BytesMut, count: usize) {
    to.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
}

fn items<T>(from: &mut &[u8], item: impl Fn(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = u32::try_from(i32::from_be_bytes(take(from)?)).ok()?;
    (0..count).map(|_| item(from)).collect()
}

fn partitions(from: &mut &[u8]) -> Option<(String, Vec<i32>)> {
    Some((text(from)?, items(from, |from| take(from).map(i32::from_be_bytes))?))
}

fn text(from: &mut &[u8]) -> Option<String> {
    nullable_text(from)?
}

fn nullable_text(from: &mut &[u8]) -> Option<Option<String>> {
    let length = i16::from_be_bytes(take(from)?);
    if length == -1 {
        return Some(None);
    }
    let (text, after) = from.split_at_checked(usize::try_from(length).ok()?)?;
    *from = after;
    Some(Some(std::str::from_utf8(text).ok()?.to_owned()))
}

/// Passes over the bytes of a way of assigning; returns how many there were.
fn user_data(from: &mut &[u8]) -> Option<usize> {
    let length = match i32::from_be_bytes(take(from)?) {
        -1 => 0,
        length => usize::try_from(length).ok()?,
    };
    *from = from.get(length..)?;
    Some(length)
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Version 3: topics `a` and `bc`, no user data, partition 7 of `a` owned, generation 9, rack `r`, and something new.
    const WHOLE: &[u8] = b"\x00\x03\x00\x00\x00\x02\x00\x01a\x00\x02bc\xff\xff\xff\xff\
        \x00\x00\x00\x01\x00\x01a\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00\x09\x00\x01r";

    #[test]
    fn every_cut_of_a_subscription_is_refused_and_what_follows_is_ignored() {
        let names = ["a", "bc"].map(str::to_owned);
        let subscription = Subscription {
            version: 3,
            topics: names.clone().into(),
            owned: vec![("a".to_owned(), vec![7])],
            generation: 9,
            rack: Some("r".to_owned()),
        };
        assert_eq!(Subscription::read(WHOLE), Some(subscription.clone()));
        assert_eq!(Subscription::read(&[WHOLE, b"more"].concat()), Some(subscription));
        for length in 0..WHOLE.len() {
            assert_eq!(Subscription::read(&WHOLE[..length]), None, "{length}");
        }
        assert_eq!(Subscription::topics(&WHOLE[..13]), Some(names.into()));
        for length in 0..13 {
            assert_eq!(Subscription::topics(&WHOLE[..length]), None, "{length}");
        }
        for bad in [
            &b"\x00\x00\xff\xff\xff\xff"[..],
            b"\x00\x00\x00\x00\x00\x01\xff\xff",
            b"\x00\x00\x00\x00\x00\x01\x00\x01\xff",
        ] {
            assert_eq!(Subscription::topics(bad), None);
            assert_eq!(Subscription::read(bad), None);
        }
        assert_eq!(Subscription::read(&[b"\xff\xff", &WHOLE[2..]].concat()), None, "a negative version");
    }

    #[test]
    fn an_assignment_that_was_written_is_read_and_its_user_data_is_seen() {
        let given = BTreeMap::from([("a".to_owned(), vec![0, 3]), ("b".to_owned(), vec![1])]);
        for (version, written) in [(0, 0), (3, 3), (9, 3)] {
            let bytes = Assignment::write(version, &given);
            assert_eq!(bytes[..2], [0, written]);
            let read = Assignment::read(&bytes).unwrap();
            assert_eq!(read, Assignment { partitions: given.clone().into_iter().collect(), has_user_data: false });
            for length in 1..bytes.len() {
                assert_eq!(Assignment::read(&bytes[..length]), None, "{length}");
            }
        }
        assert_eq!(Assignment::read(b""), Some(Assignment::default()));
        let with = Assignment::read(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01x").unwrap();
        assert!(with.has_user_data);
        let empty = Assignment::read(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00").unwrap();
        assert!(!empty.has_user_data);
    }
}
