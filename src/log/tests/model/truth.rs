//! What the model knows of one partition, pure.
use std::collections::BTreeMap;

use crate::record::Outcome;

/// What stands in a record: no two have the same.
pub type Value = u64;

/// A record that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub value: Value,
    /// Of which transaction it is.
    pub transaction: Option<u64>,
}

/// One partition: what was acknowledged, and what may or may not be there.
#[derive(Debug, Default)]
pub struct Truth {
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
    /// As it was seen last: it never goes back.
    pub high_watermark: i64,
}

impl Truth {
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

    /// Compares what a reader saw from the log start on with what must be there; what may be there and was seen stays.
    pub fn judge(&mut self, name: &str, log_start: i64, seen: &[(i64, Value)]) {
        assert!(
            log_start == self.log_start || log_start > self.log_start && self.log_start_maybe.contains(&log_start),
            "{name}: the log starts at {log_start}, it should at {} (or {:?})",
            self.log_start,
            self.log_start_maybe
        );
        self.log_start = log_start;
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
        for (offset, sent) in self.there.range(log_start..) {
            let aborted = sent.transaction.is_some_and(|t| self.ended.get(&t) == Some(&Outcome::Aborted));
            assert!(
                aborted || seen.contains_key(offset),
                "{name}: offset {offset} ({sent:?}) was acknowledged and is gone"
            );
        }
    }

    /// Compares what a reader saw that reads committed records only, up to the last stable offset.
    pub fn judge_committed(&self, name: &str, last_stable: i64, seen: &[(i64, Value)]) {
        let committed = |sent: &Sent| match sent.transaction {
            None => true,
            Some(transaction) => self.ended.get(&transaction) == Some(&Outcome::Committed),
        };
        let expected: Vec<(i64, Value)> = self
            .there
            .range(self.log_start..last_stable)
            .filter(|(_, sent)| committed(sent))
            .map(|(offset, sent)| (*offset, sent.value))
            .collect();
        assert_eq!(seen, expected, "{name}: committed records up to {last_stable}");
    }

    /// The disk was lost: what was not sealed may be gone, and nothing that is gone comes back.
    pub fn lost_above(&mut self, sealed: i64) {
        self.there.retain(|offset, _| *offset < sealed);
        self.maybe.clear();
        self.log_start = self.log_start.min(sealed);
    }
}
