//! What clients do: they append, with and without ids, send again, delete records, and have the coordinator keep items.
use super::*;
use crate::record::{BatchBuilder, Codec, Producer};

/// Keys of records.
const KEYS: u64 = 4;
/// Epochs of producers: the first one, and the last that there is.
const EPOCHS: (i16, i16) = (i16::MAX - 2, i16::MAX);

impl World {
    /// A record, not sent yet, and its bytes.
    pub(super) fn record(&mut self, transaction: Option<u64>) -> (Sent, String) {
        self.values += 1;
        let (value, key) = (self.values, self.below(KEYS));
        let more = if self.below(4) == 0 { self.below(9000) } else { self.below(40) };
        let sent = Sent { value, key, at_ms: self.clock.now_ms(), transaction };
        (sent, text(&sent, more))
    }

    pub(super) fn records(&mut self, transaction: Option<u64>) -> (Vec<Sent>, Vec<String>) {
        let count = 1 + self.below(3);
        (0..count).map(|_| self.record(transaction)).unzip()
    }

    pub async fn append(&mut self) {
        let Some((place, partition)) = self.any_place() else { return };
        let (sent, texts) = self.records(None);
        let pending = partition.append(made(BatchBuilder::new(), &sent, &texts), None);
        let before = self.truths[&place].given;
        if let Some(base) = self.appended(&place, sent, pending).await {
            assert!(base >= before, "{place}: offset {base} was given out before, up to {before}");
        }
    }

    /// Fills some of the WAL.
    pub async fn fill(&mut self) {
        for _ in 0..self.below(20) {
            let Some((place, partition)) = self.any_place() else { return };
            let (sent, _) = self.record(None);
            let pending = partition.append(made(BatchBuilder::new(), &[sent], &[text(&sent, 9000)]), None);
            self.appended(&place, vec![sent], pending).await;
        }
    }

    pub async fn append_idempotent(&mut self) {
        let Some((place, partition)) = self.any_place() else { return };
        let id = 5 + i64::try_from(self.below(2)).unwrap();
        let key = (id, place.clone());
        let begin = Sequence { epoch: EPOCHS.0, next: 0, newest: None };
        let mut sequence = self.producers.get(&key).cloned().unwrap_or(begin);
        if sequence.next < 0 || self.below(20) == 0 {
            // A producer that does not know what became of its newest batch, or that was begun again, goes on with an epoch more.
            if sequence.epoch == EPOCHS.1 {
                return;
            }
            sequence = Sequence { epoch: sequence.epoch + 1, next: 0, newest: None };
        }
        let (sent, texts) = self.records(None);
        let Sequence { epoch, next, .. } = sequence;
        let pending = partition.append(made(of_producer(id, epoch, next), &sent, &texts), None);
        if let Err(error @ (AppendError::OutOfOrderSequence { .. } | AppendError::ProducerFenced { .. })) = &pending {
            panic!("{place}: producer {id} goes on with sequence {next} of epoch {epoch}: {error}");
        }
        let accepted = pending.is_ok();
        match self.appended(&place, sent.clone(), pending).await {
            Some(offset) => {
                let next = next + i32::try_from(sent.len()).unwrap();
                self.producers.insert(key, Sequence { epoch, next, newest: Some((sent, offset)) });
            }
            // Whether it is there is not known.
            None if accepted => drop(self.producers.insert(key, Sequence { epoch, next: i32::MIN, newest: None })),
            None => {}
        }
    }

    /// A producer that got no answer sends its newest batch again: it is there once. One of an epoch before is refused.
    pub async fn send_again(&mut self) {
        let known: Vec<_> = self
            .producers
            .iter()
            .filter_map(|(key, s)| Some((key.clone(), s.epoch, s.next, s.newest.clone()?)))
            .filter(|((_, place), ..)| !self.is_damaged(place))
            .collect();
        if known.is_empty() {
            return;
        }
        let at = usize::try_from(self.below(known.len() as u64)).unwrap();
        let ((id, place), epoch, next, (sent, offset)) = known[at].clone();
        let Some(partition) = self.partition(&place) else { return };
        let texts: Vec<String> = sent.iter().map(|sent| text(sent, 0)).collect();
        if self.below(3) == 0 {
            let of_before = partition.append(made(of_producer(id, epoch - 1, 0), &sent, &texts), None);
            assert!(of_before.is_err(), "{place}: producer {id} writes with epoch {} after {epoch}", epoch - 1);
            return;
        }
        let base = next - i32::try_from(sent.len()).unwrap();
        match partition.append(made(of_producer(id, epoch, base), &sent, &texts), None) {
            Ok(pending) => {
                if let Ok(appended) = self.synced(pending.durable()).await {
                    assert_eq!(appended.base_offset, offset, "{place}: producer {id} sent sequence {base} again");
                }
            }
            Err(AppendError::OutOfOrderSequence { expected, .. }) => {
                panic!("{place}: producer {id} sent sequence {base} again, and {expected} was expected")
            }
            Err(_) => {}
        }
    }

    /// Takes note of what an append came to.
    pub(super) async fn appended(
        &mut self,
        place: &Place,
        sent: Vec<Sent>,
        pending: Result<Pending, AppendError>,
    ) -> Option<i64> {
        let result = match pending {
            Err(refused) => {
                self.note(format!("{place}: refused: {refused}"));
                return None;
            }
            Ok(pending) => {
                let given = pending.appended.last_offset + 1;
                let result = self.synced(pending.durable()).await;
                if result.is_ok() {
                    let truth = self.truths.get_mut(place).unwrap();
                    truth.given = truth.given.max(given);
                }
                result
            }
        };
        self.note(format!("{place}: {sent:?} {:?}", result.as_ref().map(|a| a.base_offset)));
        let truth = self.truths.get_mut(place).unwrap();
        match result {
            Ok(appended) => {
                for (offset, sent) in (appended.base_offset..).zip(&sent) {
                    truth.put(offset, *sent);
                }
                Some(appended.base_offset)
            }
            Err(_) => {
                truth.maybe.extend(sent);
                None
            }
        }
    }

    pub async fn put_state(&mut self) {
        let key = format!("group/{}", self.below(5));
        self.values += 1;
        let value = self.values;
        let result = match self.log().append_state(vec![(key.clone(), Some(Json::of(&value)))]) {
            Ok(pending) => self.synced(pending.durable()).await,
            Err(_) => return,
        };
        match result {
            Ok(()) => drop(self.state.insert(key, value)),
            Err(_) => self.state_maybe.push((key, value)),
        }
    }

    pub async fn delete_records(&mut self) {
        let Some((place, partition)) = self.any_place() else { return };
        let ends = partition.ends();
        let span = u64::try_from((ends.high_watermark - ends.log_start).min(40)).unwrap();
        let to = ends.log_start + i64::try_from(self.below(span + 1)).unwrap();
        let result = self.synced(partition.delete_records(to)).await;
        self.note(format!("{place}: delete below {to}: {result:?}"));
        let truth = self.truths.get_mut(&place).unwrap();
        truth.log_start_maybe.push(to);
        if result.is_ok() {
            truth.log_start = truth.log_start.max(to);
        }
    }

    pub async fn seal(&mut self) {
        let name = self.any_place().map(|(place, _)| place.0).filter(|_| self.below(2) == 0);
        let log = self.log().clone();
        let sealed = tokio::time::timeout(Duration::from_secs(60), log.seal(name.as_deref())).await;
        self.note(format!("seal {name:?}: {:?}", sealed.map(|s| s.map(|_| ()))));
    }
}

/// What stands in a record: its value, its key, and nothing that matters.
pub(super) fn text(sent: &Sent, more: u64) -> String {
    format!("{}:{}:{}", sent.value, sent.key, "x".repeat(usize::try_from(more).unwrap()))
}

pub(super) fn of_producer(id: i64, epoch: i16, base_sequence: i32) -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    builder.set_producer(Producer { id, epoch, base_sequence });
    builder
}

/// A batch of these records.
pub(super) fn made(mut builder: BatchBuilder, sent: &[Sent], texts: &[String]) -> Bytes {
    for (offset, (sent, text)) in (0..).zip(sent.iter().zip(texts)) {
        let (key, value) = (Bytes::from(sent.key.to_string()), Bytes::copy_from_slice(text.as_bytes()));
        let record = Record { offset, timestamp: sent.at_ms, key: Some(key), value: Some(value), ..Record::default() };
        let _ = builder.push(&record.as_ref()).unwrap();
    }
    builder.finish(Codec::None, None).unwrap()
}
