//! Transactions over several partitions.
use super::clients::{made, of_producer};
use super::*;

impl World {
    pub async fn append_to_transaction(&mut self) {
        let Some((place, partition)) = self.any_place() else { return };
        let at = usize::try_from(self.below(3)).unwrap();
        if self.open.len() <= at {
            self.names += 1;
            let producer_id = (1 << 40) + i64::try_from(self.names).unwrap();
            let epoch = [0, i16::MAX - 1, i16::MAX][usize::try_from(self.below(3)).unwrap()];
            self.open.push(Transaction { number: self.names, producer_id, epoch, places: BTreeMap::new() });
        }
        let at = at.min(self.open.len() - 1);
        let Transaction { number, producer_id, epoch, places } = self.open[at].clone();
        let sequence = places.get(&place).copied().unwrap_or(0);
        if sequence < 0 {
            return;
        }
        let (sent, texts) = self.records(Some(number));
        let mut builder = of_producer(producer_id, epoch, sequence);
        builder.set_transactional();
        let pending = partition.append_transactional(made(builder, &sent, &texts), None);
        if let Err(error @ (AppendError::OutOfOrderSequence { .. } | AppendError::ProducerFenced { .. })) = &pending {
            panic!("{place}: transaction {number} goes on with sequence {sequence}: {error}");
        }
        let accepted = pending.is_ok();
        let count = i32::try_from(sent.len()).unwrap();
        let next = match self.appended(&place, sent, pending).await {
            Some(_) => sequence + count,
            None if accepted => -1,
            None => return,
        };
        self.open[at].places.insert(place, next);
    }

    pub async fn end_a_transaction(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let at = usize::try_from(self.below(self.open.len() as u64)).unwrap();
        let outcome = if self.below(2) == 0 { Outcome::Committed } else { Outcome::Aborted };
        self.end(at, outcome).await;
    }

    async fn end(&mut self, at: usize, outcome: Outcome) {
        let Transaction { number, producer_id, epoch, places } = self.open[at].clone();
        let partitions: Vec<Partition> = places.keys().filter_map(|place| self.partition(place)).collect();
        // With the end the next transaction gets an epoch of its own, where there is one.
        let end = TransactionEnd { producer_id, producer_epoch: epoch.saturating_add(1), outcome };
        let committed = u64::from(outcome == Outcome::Committed);
        let item = (format!("txn/{number}"), Some(Json::of(&committed)));
        let result = match self.log().end_transaction(end, partitions, vec![item]) {
            Ok(pending) => self.synced(pending.durable()).await,
            Err(refused) => {
                self.note(format!("transaction {number} does not end: {refused}"));
                return;
            }
        };
        self.note(format!("transaction {number} ends, {outcome:?}: {result:?}"));
        if result.is_ok() {
            self.state.insert(format!("txn/{number}"), committed);
            self.ended(at, outcome);
        } else {
            // The item says what it came to, when the log is there again.
            self.state_maybe.push((format!("txn/{number}"), committed));
        }
    }

    pub(super) fn ended(&mut self, at: usize, outcome: Outcome) {
        let transaction = self.open.remove(at);
        for truth in self.truths.values_mut() {
            truth.ended.insert(transaction.number, outcome);
        }
    }

    pub async fn end_all_transactions(&mut self) {
        for at in (0..self.open.len()).rev() {
            let before = self.open.len();
            self.end(at, Outcome::Aborted).await;
            assert!(self.open.len() < before, "a transaction cannot be ended: {:?}", self.trace.last());
        }
    }
}
