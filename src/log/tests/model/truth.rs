//! What the model knows of one partition, pure.
use std::collections::{BTreeMap, BTreeSet};

use crate::record::Outcome;

/// What stands in a record: no two have the same.
pub type Value = u64;

/// A record that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub value: Value,
    pub key: u64,
    /// When, by the broker's clock; also what the record says.
    pub at_ms: i64,
    /// Of which transaction it is.
    pub transaction: Option<u64>,
}

/// What may go without having been deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Of each key the newest stays.
    pub compacts: bool,
    /// Records older than this.
    pub retention_ms: Option<i64>,
}

/// One partition: what was acknowledged, and what may or may not be there.
#[derive(Debug, Default)]
pub struct Truth {
    pub policy: Policy,
    /// Acknowledged, or seen by a reader: it stays.
    pub there: BTreeMap<i64, Sent>,
    /// Sent, and never answered.
    pub maybe: Vec<Sent>,
    /// What became of transactions that ended.
    pub ended: BTreeMap<u64, Outcome>,
    /// Nothing below it may be read.
    pub log_start: i64,
    /// Log starts that were asked for and not answered.
    pub log_start_maybe: Vec<i64>,
    /// One past the greatest offset that was ever given out.
    pub given: i64,
    /// Whether compaction took a record, and retention.
    pub went_by: BTreeSet<&'static str>,
    /// As it was seen last: it never goes back.
    pub high_watermark: i64,
}

impl Truth {
    /// Nothing, of a partition with this policy.
    pub fn of(policy: Policy) -> Self {
        Self { policy, ..Self::default() }
    }

    /// A record is there for good.
    pub fn put(&mut self, offset: i64, sent: Sent) {
        assert!(
            self.there.get(&offset).is_none_or(|other| *other == sent),
            "offset {offset} is {:?} too",
            self.there[&offset]
        );
        self.there.insert(offset, sent);
        self.given = self.given.max(offset + 1);
    }

    fn is_aborted(&self, sent: &Sent) -> bool {
        sent.transaction.is_some_and(|t| self.ended.get(&t) == Some(&Outcome::Aborted))
    }

    fn is_committed(&self, sent: &Sent) -> bool {
        sent.transaction.is_none_or(|t| self.ended.get(&t) == Some(&Outcome::Committed))
    }

    /// Whether compaction may have taken it: a newer value of its key is there.
    fn is_superseded(&self, offset: i64, sent: &Sent) -> bool {
        let mut newer = self.there.range(offset + 1..);
        self.policy.compacts && newer.any(|(_, newer)| newer.key == sent.key && self.is_committed(newer))
    }

    /// Whether all below `to` is older than retention keeps.
    fn is_expired_below(&self, to: i64, now_ms: i64) -> bool {
        let mut below = self.there.range(self.log_start..to).filter(|(_, sent)| !self.is_aborted(sent));
        self.policy.retention_ms.is_some_and(|keep| below.all(|(_, sent)| sent.at_ms + keep <= now_ms))
    }

    /// Takes note of where the log starts: where it did, or up to where somebody deleted, or above what has expired.
    pub fn starts_at(&mut self, name: &str, log_start: i64, now_ms: i64) {
        if log_start != self.log_start && !self.log_start_maybe.contains(&log_start) {
            assert!(
                log_start > self.log_start && self.is_expired_below(log_start, now_ms),
                "{name}: the log starts at {log_start}, it should at {} (or {:?}, {:?})",
                self.log_start,
                self.log_start_maybe,
                self.policy
            );
            self.went_by.insert("expired");
        }
        assert!(log_start >= self.log_start, "{name}: the log start went back from {} to {log_start}", self.log_start);
        self.log_start = log_start;
    }

    /// Compares what a reader saw from the log start on with what must be there; what may be there and was seen stays.
    pub fn judge(&mut self, name: &str, seen: &[(i64, Value)]) {
        let mut last = -1;
        for (offset, value) in seen {
            assert!(*offset > last, "{name}: offset {offset} came after {last}");
            last = *offset;
            match self.there.get(offset) {
                Some(sent) => assert_eq!(sent.value, *value, "{name}: offset {offset} has another record"),
                None => {
                    let at = self.maybe.iter().position(|sent| sent.value == *value);
                    let at = at.unwrap_or_else(|| panic!("{name}: nobody sent {value}, which is at offset {offset}"));
                    let sent = self.maybe.remove(at);
                    self.put(*offset, sent);
                }
            }
        }
        let seen: BTreeMap<i64, Value> = seen.iter().copied().collect();
        let gone = self.there.range(self.log_start..).filter(|(offset, _)| !seen.contains_key(offset));
        let mut compacted = false;
        for (offset, sent) in gone.filter(|(_, sent)| !self.is_aborted(sent)) {
            compacted = self.is_superseded(*offset, sent);
            assert!(compacted, "{name}: offset {offset} ({sent:?}) was acknowledged and is gone");
        }
        if compacted {
            self.went_by.insert("compacted");
        }
    }

    /// Compares what a reader saw that reads committed records only, up to the last stable offset.
    pub fn judge_committed(&self, name: &str, last_stable: i64, seen: &[(i64, Value)]) {
        let mut seen = seen.iter().copied().peekable();
        let below = self.there.range(self.log_start..last_stable).filter(|(_, sent)| self.is_committed(sent));
        for (offset, sent) in below {
            if seen.next_if_eq(&(*offset, sent.value)).is_none() {
                assert!(
                    self.is_superseded(*offset, sent),
                    "{name}: {sent:?} at offset {offset} is committed, and {:?} is seen, below {last_stable}",
                    seen.peek()
                );
            }
        }
        assert_eq!(seen.next(), None, "{name}: it is not committed, or not there, below {last_stable}");
    }

    /// The disk was lost: what was not sealed may be gone, and nothing that is gone comes back.
    pub fn lost_above(&mut self, sealed: i64) {
        self.there.retain(|offset, _| *offset < sealed);
        self.maybe.clear();
        self.log_start = self.log_start.min(sealed);
    }
}
