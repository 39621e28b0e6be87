//! The range of offsets that is read of one partition (pure).
use crate::record::BatchHeader;

/// From `next` up to, not including, `until`; without end if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub next: i64,
    /// The first offset that is not read.
    pub until: Option<i64>,
}

impl Span {
    /// Fits what was asked for into what there is; the word says where that differs.
    pub fn fit(partition: i32, (from, to): (i64, Option<i64>), (start, end): (i64, i64)) -> (Self, Option<String>) {
        let word = match (from, to) {
            (from, _) if from < start => {
                Some(format!("offsets below {start} are gone; beginning there, not at {from}"))
            }
            (from, _) if from > end => Some(format!("the end is {end}; there is no offset {from} yet")),
            (_, Some(to)) if to > end => Some(format!("the end is {end}; ending there, not at {to}")),
            _ => None,
        };
        let next = from.max(start);
        (Self { partition, next, until: to.map(|to| to.min(end)) }, word)
    }

    /// Whether everything was read.
    pub fn is_done(&self) -> bool {
        self.until.is_some_and(|until| self.next >= until)
    }

    /// Whether an offset is in what remains to be read.
    pub fn has(&self, offset: i64) -> bool {
        offset >= self.next && self.until.is_none_or(|until| offset < until)
    }

    /// Moves behind a batch.
    pub fn pass(&mut self, batch: &BatchHeader) {
        self.next = self.next.max(batch.last_offset().saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_fitted_into_what_there_is_and_said() {
        for (asked, ends, next, until, says) in [
            ((0, Some(10)), (0, 10), 0, Some(10), None),
            ((3, Some(10)), (5, 10), 5, Some(10), Some("offsets below 5 are gone")),
            ((3, Some(20)), (0, 10), 3, Some(10), Some("ending there, not at 20")),
            ((12, Some(10)), (0, 10), 12, Some(10), Some("no offset 12 yet")),
            ((10, None), (0, 10), 10, None, None),
            ((10, Some(10)), (0, 10), 10, Some(10), None),
        ] {
            let (span, word) = Span::fit(1, asked, ends);
            assert_eq!((span.next, span.until), (next, until), "{asked:?}");
            assert_eq!(word.is_some(), says.is_some(), "{asked:?}: {word:?}");
            assert!(word.unwrap_or_default().contains(says.unwrap_or_default()));
        }
    }

    #[test]
    fn a_span_without_end_is_never_done() {
        let mut span = Span { partition: 0, next: 5, until: None };
        assert!(!span.is_done() && span.has(5) && span.has(i64::MAX) && !span.has(4));
        span.until = Some(6);
        assert!(!span.is_done() && span.has(5) && !span.has(6));
        span.until = Some(5);
        assert!(span.is_done() && !span.has(5));
    }
}
