//! What clients do: they append, with and without ids, send again, delete records, and have the coordinator keep items.
use super::*;

impl World {
    pub async fn append(&mut self) {
        let Some((place, partition)) = self.any_place() else { return };
        let count = 1 + self.below(3);
        let sent: Vec<Sent> = (0..count).map(|_| Sent { value: self.value(), transaction: None }).collect();
        let texts: Vec<String> = sent.iter().map(|sent| self.text(sent.value)).collect();
        let records: Vec<(i64, &str)> = texts.iter().map(|text| (1_000, text.as_str())).collect();
        let pending = partition.append(batch(&records), None);
        let before = self.truths[&place].given;
        if let Some(base) = self.appended(&place, sent, pending).await {
            assert!(base >= before, "{place}: offset {base} was given out before, up to {before}");
        }
    }

    /// Fills some of the WAL.
    pub async fn fill(&mut self) {
        for _ in 0..self.below(20) {
            let Some((place, partition)) = self.any_place() else { return };
            let sent = Sent { value: self.value(), transaction: None };
            let text = format!("{}:{}", sent.value, "x".repeat(9000));
            let pending = partition.append(batch(&[(1_000, &text)]), None);
            self.appended(&place, vec![sent], pending).await;
        }
    }

    pub async fn append_idempotent(&mut self) {
        let Some((place, partition)) = self.any_place() else { return };
        let id = 5 + i64::try_from(self.below(2)).unwrap();
        let key = (id, place.clone());
        let sequence = self.producers.get(&key).copied().unwrap_or_default();
        if sequence.next < 0 {
            return;
        }
        let value = self.value();
        let pending = partition.append(idempotent(id, sequence.next, &self.text(value)), None);
        if let Err(error @ (AppendError::OutOfOrderSequence { .. } | AppendError::ProducerFenced { .. })) = &pending {
            panic!("{place}: producer {id} goes on with sequence {}: {error}", sequence.next);
        }
        let accepted = pending.is_ok();
        let sent = vec![Sent { value, transaction: None }];
        match self.appended(&place, sent, pending).await {
            Some(offset) => {
                let next = Sequence { next: sequence.next + 1, newest: Some((value, offset)) };
                self.producers.insert(key, next);
            }
            // Whether it is there is not known: a client that lost its broker begins anew, here with the topic's next life.
            None if accepted => drop(self.producers.insert((id, place), Sequence { next: i32::MIN, newest: None })),
            None => {}
        }
    }

    /// A producer that got no answer sends its newest batch again: it is there once.
    pub async fn send_again(&mut self) {
        let known: Vec<_> =
            self.producers.iter().filter_map(|(key, s)| Some((key.clone(), s.next, s.newest?))).collect();
        if known.is_empty() {
            return;
        }
        let at = usize::try_from(self.below(known.len() as u64)).unwrap();
        let ((id, place), next, (value, offset)) = known[at].clone();
        let Some(partition) = self.partition(&place) else { return };
        match partition.append(idempotent(id, next - 1, &format!("{value}:")), None) {
            Ok(pending) => {
                if let Ok(appended) = self.synced(pending.durable()).await {
                    assert_eq!(appended.base_offset, offset, "{place}: producer {id} sent sequence {} again", next - 1);
                }
            }
            Err(AppendError::OutOfOrderSequence { expected, .. }) => {
                panic!("{place}: producer {id} sent sequence {} again, and {expected} was expected", next - 1)
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
        let value = self.value();
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
