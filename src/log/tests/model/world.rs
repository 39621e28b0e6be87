//! The world of the model: a broker with its disk, its bucket and its clock, and what was promised to its clients.
use std::collections::BTreeMap;

use super::super::*;
use super::Happened;
use super::truth::{Sent, Truth, Value};
use crate::base::Json;
use crate::record::{BatchHeader, EndMarker, Outcome, split};
use crate::store::testing::{Faulty, store_on_clock};
use crate::wal::fs::FaultyFs;

/// How a life of the broker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Clean,
    Killed,
    PowerCut,
    DiskLost,
}

/// A producer in one topic.
#[derive(Clone, Copy, Debug, Default)]
struct Sequence {
    next: i32,
    /// Its newest batch: value, offset.
    newest: Option<(Value, i64)>,
}

#[derive(Clone, Debug)]
struct Transaction {
    number: u64,
    producer_id: i64,
    topics: BTreeMap<String, i32>,
}

pub struct World {
    random: Random,
    clock: Clock,
    bucket: Faulty,
    client: Faulty,
    fs: FaultyFs,
    log: Option<Log>,
    topics: BTreeMap<String, Truth>,
    state: BTreeMap<String, u64>,
    /// Values of items that were sent and not answered.
    state_maybe: Vec<(String, u64)>,
    producers: BTreeMap<(i64, String), Sequence>,
    open: Vec<Transaction>,
    away: bool,
    values: u64,
    names: u64,
    trace: Vec<String>,
    happened: Happened,
}

const OPTIONS_FILE_BYTES: u64 = 64 << 10;

impl World {
    pub async fn new(seed: u64) -> Self {
        let clock = Clock::of_runtime(1_700_000_000_000);
        let bucket = Faulty::on_clock(&clock);
        let mut world = Self {
            random: Random::seeded(seed),
            client: bucket.client(),
            clock,
            bucket,
            fs: FaultyFs::new(),
            log: None,
            topics: BTreeMap::new(),
            state: BTreeMap::new(),
            state_maybe: Vec::new(),
            producers: BTreeMap::new(),
            open: Vec::new(),
            away: false,
            values: 0,
            names: 0,
            trace: Vec::new(),
            happened: Happened::default(),
        };
        world.log = Some(world.opened(false).await.unwrap());
        for topic in ["a", "b", "c"] {
            world.create(topic).await;
        }
        world
    }

    pub fn below(&self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn note(&mut self, what: String) {
        let line = format!("{:>9} ms: {what}", self.clock.elapsed().as_millis());
        if std::env::var("MODEL_TRACE").is_ok() {
            eprintln!("{line}");
        }
        self.trace.push(line);
    }

    fn log(&self) -> &Log {
        self.log.as_ref().unwrap()
    }

    async fn opened(&mut self, take_over: bool) -> Result<Log, OpenError> {
        self.client = self.bucket.client();
        let mut options = Options::new("/disk");
        options.take_over = take_over;
        options.wal.file_bytes = OPTIONS_FILE_BYTES;
        options.wal.budget_bytes = Some(8 * OPTIONS_FILE_BYTES);
        options.wal.group_max_bytes = 16 << 10;
        options.topic_defaults.insert("esker.seal.ms".to_owned(), "60000".to_owned());
        let env = Env {
            clock: self.clock.clone(),
            random: Random::seeded(self.random.u64()),
            metrics: Metrics::new(),
            limits: Limits::default(),
            tasks: Tasks::in_one_thread(),
        };
        let store = store_on_clock(Arc::new(self.client.clone()), &self.clock, self.random.u64());
        Log::open_on(options, env, Arc::new(self.fs.clone()), store).await
    }

    async fn create(&mut self, topic: &str) {
        if self.log().create_topic(new_topic(topic)).await.is_ok() {
            self.topics.insert(topic.to_owned(), Truth::default());
        }
    }

    fn any_topic(&self) -> Option<(String, Partition)> {
        let at = usize::try_from(self.below(self.topics.len().max(1) as u64)).unwrap();
        let name = self.topics.keys().nth(at)?.clone();
        let partition = self.log().partition(&name, 0)?;
        Some((name, partition))
    }

    fn value(&mut self) -> Value {
        self.values += 1;
        self.values
    }

    /// The bytes of a record: its value, and now and then much more.
    fn text(&self, value: Value) -> String {
        let more = if self.below(4) == 0 { self.below(9000) } else { self.below(40) };
        format!("{value}:{}", "x".repeat(usize::try_from(more).unwrap()))
    }

    /// Waits for a sync, or until the disk or the broker is gone.
    async fn synced<T, E: std::fmt::Display>(&self, done: impl Future<Output = Result<T, E>>) -> Result<T, String> {
        tokio::select! {
            biased;
            done = done => done.map_err(|e| e.to_string()),
            why = self.log().failed() => Err(why),
        }
    }

    /// Takes note of what an append came to.
    async fn appended(&mut self, topic: &str, sent: Vec<Sent>, pending: Result<Pending, AppendError>) -> Option<i64> {
        let result = match pending {
            Err(refused) => {
                self.note(format!("{topic}: refused: {refused}"));
                return None;
            }
            Ok(pending) => {
                let given = pending.appended.last_offset + 1;
                let result = self.synced(pending.durable()).await;
                if result.is_ok() {
                    let truth = self.topics.get_mut(topic).unwrap();
                    truth.given = truth.given.max(given);
                }
                result
            }
        };
        self.note(format!("{topic}: {sent:?} {:?}", result.as_ref().map(|a| a.base_offset)));
        let truth = self.topics.get_mut(topic).unwrap();
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

    pub async fn append(&mut self) {
        let Some((topic, partition)) = self.any_topic() else { return };
        let count = 1 + self.below(3);
        let sent: Vec<Sent> = (0..count).map(|_| Sent { value: self.value(), transaction: None }).collect();
        let texts: Vec<String> = sent.iter().map(|sent| self.text(sent.value)).collect();
        let records: Vec<(i64, &str)> = texts.iter().map(|text| (1_000, text.as_str())).collect();
        let pending = partition.append(batch(&records), None);
        let before = self.topics[&topic].given;
        if let Some(base) = self.appended(&topic, sent, pending).await {
            assert!(base >= before, "{topic}: offset {base} was given out before, up to {before}");
        }
    }

    pub async fn append_idempotent(&mut self) {
        let Some((topic, partition)) = self.any_topic() else { return };
        let id = 5 + i64::try_from(self.below(2)).unwrap();
        let key = (id, topic.clone());
        let sequence = self.producers.get(&key).copied().unwrap_or_default();
        if sequence.next < 0 {
            return;
        }
        let value = self.value();
        let pending = partition.append(idempotent(id, sequence.next, &self.text(value)), None);
        if let Err(error @ (AppendError::OutOfOrderSequence { .. } | AppendError::ProducerFenced { .. })) = &pending {
            panic!("{topic}: producer {id} goes on with sequence {}: {error}", sequence.next);
        }
        let accepted = pending.is_ok();
        let sent = vec![Sent { value, transaction: None }];
        match self.appended(&topic, sent, pending).await {
            Some(offset) => {
                let next = Sequence { next: sequence.next + 1, newest: Some((value, offset)) };
                self.producers.insert(key, next);
            }
            // Whether it is there is not known: a client that lost its broker begins anew, here with the topic's next life.
            None if accepted => drop(self.producers.insert((id, topic), Sequence { next: i32::MIN, newest: None })),
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
        let ((id, topic), next, (value, offset)) = known[at].clone();
        let Some(partition) = self.log().partition(&topic, 0) else { return };
        match partition.append(idempotent(id, next - 1, &format!("{value}:")), None) {
            Ok(pending) => {
                if let Ok(appended) = self.synced(pending.durable()).await {
                    assert_eq!(appended.base_offset, offset, "{topic}: producer {id} sent sequence {} again", next - 1);
                }
            }
            Err(AppendError::OutOfOrderSequence { expected, .. }) => {
                panic!("{topic}: producer {id} sent sequence {} again, and {expected} was expected", next - 1)
            }
            Err(_) => {}
        }
    }

    pub async fn append_to_transaction(&mut self) {
        let Some((topic, partition)) = self.any_topic() else { return };
        let at = usize::try_from(self.below(3)).unwrap();
        if self.open.len() <= at {
            self.names += 1;
            let producer_id = (1 << 40) + i64::try_from(self.names).unwrap();
            self.open.push(Transaction { number: self.names, producer_id, topics: BTreeMap::new() });
        }
        let at = at.min(self.open.len() - 1);
        let Transaction { number, producer_id, topics } = self.open[at].clone();
        let sequence = topics.get(&topic).copied().unwrap_or(0);
        if sequence < 0 {
            return;
        }
        let value = self.value();
        let pending = partition.append_transactional(part(producer_id, sequence, &self.text(value)), None);
        if let Err(error @ (AppendError::OutOfOrderSequence { .. } | AppendError::ProducerFenced { .. })) = &pending {
            panic!("{topic}: transaction {number} goes on with sequence {sequence}: {error}");
        }
        let accepted = pending.is_ok();
        let sent = vec![Sent { value, transaction: Some(number) }];
        let next = match self.appended(&topic, sent, pending).await {
            Some(_) => sequence + 1,
            None if accepted => -1,
            None => return,
        };
        self.open[at].topics.insert(topic, next);
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
        let Transaction { number, producer_id, topics } = self.open[at].clone();
        let partitions: Vec<Partition> = topics.keys().filter_map(|topic| self.log().partition(topic, 0)).collect();
        let end = TransactionEnd { producer_id, producer_epoch: 0, outcome };
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

    fn ended(&mut self, at: usize, outcome: Outcome) {
        let transaction = self.open.remove(at);
        for truth in self.topics.values_mut() {
            truth.ended.insert(transaction.number, outcome);
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
        let Some((topic, partition)) = self.any_topic() else { return };
        let ends = partition.ends();
        let span = u64::try_from((ends.high_watermark - ends.log_start).min(40)).unwrap();
        let to = ends.log_start + i64::try_from(self.below(span + 1)).unwrap();
        let result = self.synced(partition.delete_records(to)).await;
        self.note(format!("{topic}: delete below {to}: {result:?}"));
        let truth = self.topics.get_mut(&topic).unwrap();
        truth.log_start_maybe.push(to);
        if result.is_ok() {
            truth.log_start = truth.log_start.max(to);
        }
    }

    pub async fn seal(&mut self) {
        let name = self.any_topic().map(|(name, _)| name).filter(|_| self.below(2) == 0);
        let log = self.log().clone();
        let sealed = tokio::time::timeout(Duration::from_secs(60), log.seal(name.as_deref())).await;
        self.note(format!("seal {name:?}: {:?}", sealed.map(|s| s.map(|_| ()))));
    }

    /// Fills some of the WAL.
    pub async fn fill(&mut self) {
        for _ in 0..self.below(20) {
            let Some((topic, partition)) = self.any_topic() else { return };
            let sent = Sent { value: self.value(), transaction: None };
            let text = format!("{}:{}", sent.value, "x".repeat(9000));
            let pending = partition.append(batch(&[(1_000, &text)]), None);
            self.appended(&topic, vec![sent], pending).await;
        }
    }

    pub async fn pass(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    pub async fn toggle_store(&mut self) {
        self.away = !self.away;
        self.note(format!("the store is away: {}", self.away));
        self.bucket.away(self.away);
    }

    pub async fn heal(&mut self) {
        self.away = false;
        self.bucket.heal().await;
    }

    pub async fn jump(&mut self) {
        self.note("the clock jumps by 25 hours".to_owned());
        let now = self.clock.now_ms() - 1_700_000_000_000 - i64::try_from(self.clock.elapsed().as_millis()).unwrap();
        self.clock.set_wall_by(now + 25 * 3_600_000);
        // Producers that are silent for a day are forgotten, as Kafka forgets them.
        self.producers.values_mut().for_each(|sequence| sequence.newest = None);
    }

    pub async fn delete_or_create_a_topic(&mut self) {
        if self.away {
            return;
        }
        if self.topics.len() > 2
            && let Some((name, _)) = self.any_topic()
        {
            if self.log().delete_topic(&name).await.is_ok() {
                self.note(format!("topic {name} is deleted"));
                self.topics.remove(&name);
                self.producers.retain(|(_, topic), _| *topic != name);
                for transaction in &mut self.open {
                    transaction.topics.remove(&name);
                }
            }
        } else {
            let name = ["a", "b", "c"].into_iter().find(|name| !self.topics.contains_key(*name)).unwrap();
            self.create(name).await;
            self.note(format!("topic {name} is created"));
        }
    }

    pub fn cut_power_soon(&mut self) {
        let operations = self.below(30);
        self.fs.cut_power_at(operations);
    }

    /// The power does not go any more in this life.
    pub fn power_stays(&mut self) {
        self.fs.cut_power_at(1 << 40);
    }

    pub fn power_is_off(&self) -> bool {
        self.fs.is_off()
    }

    pub async fn stop(&mut self) -> StopReport {
        let report = self.log().stop().await;
        self.note(format!("{report:?}"));
        report
    }

    /// A kill, and a start on a disk that is not the owner's: an old copy of it, or an empty one. Then on the true one.
    pub async fn other_disks_are_refused(&mut self, old_copy: bool) {
        // A version of the bucket has to tell of what the copy lacks, so it has to be sealed: not while a transaction is open.
        if self.away || self.power_is_off() || !self.open.is_empty() {
            return;
        }
        self.power_stays();
        let other = if old_copy { self.fs.after_kill() } else { FaultyFs::new() };
        let Some((topic, partition)) = self.any_topic() else { return };
        let sent = Sent { value: self.value(), transaction: None };
        let pending = partition.append(batch(&[(1_000, &format!("{}:", sent.value))]), None);
        if self.appended(&topic, vec![sent], pending).await.is_none() || self.log().seal(None).await.is_err() {
            return;
        }
        self.log().0.core.fence.end("the model ends this life");
        self.client.end();
        let true_disk = std::mem::replace(&mut self.fs, other);
        let refused = self.opened(false).await;
        self.note(format!("another disk, an old copy: {old_copy}: {:?}", refused.as_ref().map(|_| "starts")));
        assert!(refused.is_err(), "a disk that is not the owner's is taken for it (an old copy: {old_copy})");
        self.fs = true_disk;
        self.happened.refused += 1;
        self.restart(Ending::Killed).await;
    }

    /// Another broker takes the bucket over while this one runs: it stops soon, and nothing of it comes after.
    pub async fn is_taken_over(&mut self) {
        if self.power_is_off() {
            return;
        }
        self.heal().await;
        self.power_stays();
        let old = self.log.take().unwrap();
        let client = self.client.clone();
        self.fs = FaultyFs::new();
        self.log = Some(self.opened(true).await.unwrap());
        self.forget_what_was_lost().await;
        self.settle_state(true);
        let topics: Vec<String> = self.topics.keys().cloned().collect();
        for topic in topics {
            let Some(partition) = old.partition(&topic, 0) else { continue };
            let value = self.value();
            if let Ok(pending) = partition.append(batch(&[(1_000, &format!("{value}:"))]), None) {
                // Acknowledged or not: it is in the old WAL only, and is never seen again.
                let _ = tokio::time::timeout(Duration::from_secs(1), pending.durable()).await;
            }
        }
        self.pass(Duration::from_secs(15)).await;
        assert!(old.0.core.fence.reason().is_some(), "a broker whose bucket another one owns goes on");
        client.end();
        self.happened.fenced += 1;
    }

    pub async fn restart(&mut self, ending: Ending) {
        self.note(format!("restart: {ending:?}"));
        let mut released = false;
        let condensed = self.is_condensed();
        if ending == Ending::Clean {
            released = self.stop().await.released;
        }
        self.log().0.core.fence.end("the model ends this life");
        self.client.end();
        // What was sealed is known by the bucket alone.
        self.heal().await;
        let log = self.log.take().unwrap();
        let lost = ending == Ending::DiskLost;
        self.happened.started_over_condensed += u64::from(condensed && !lost);
        self.fs = match ending {
            Ending::Clean | Ending::Killed => self.fs.after_kill(),
            Ending::PowerCut => self.fs.crash(&self.random),
            Ending::DiskLost => FaultyFs::new(),
        };
        drop(log);
        let opened = self.opened(lost).await;
        self.log = Some(opened.unwrap_or_else(|error| panic!("the true disk does not start: {error}")));
        let report = format!("{:?}", self.log().start_report());
        self.note(report);
        if lost && !released {
            self.forget_what_was_lost().await;
            self.happened.took_over += 1;
        } else if ending == Ending::PowerCut {
            self.happened.cut += 1;
        }
        self.settle_state(lost && !released);
    }

    /// What was sealed is what a manifest says below the gap that the loss left.
    async fn forget_what_was_lost(&mut self) {
        let layouts = self.log().layout(None, None).await.unwrap();
        for layout in layouts {
            let gap =
                layout.entries.iter().rev().find(|entry| entry.kind == "wal-lost" && entry.next == layout.sealed_end);
            let sealed = gap.map_or(layout.sealed_end, |gap| gap.first);
            let Some(truth) = self.topics.get_mut(&layout.topic) else { continue };
            truth.lost_above(sealed);
            truth.log_start = layout.log_start;
            truth.high_watermark = layout.high_watermark;
        }
        // Transactions that were open are over, and nothing of them is there; producers may jump forward.
        for transaction in std::mem::take(&mut self.open) {
            for truth in self.topics.values_mut() {
                truth.ended.insert(transaction.number, Outcome::Aborted);
            }
        }
        self.producers.values_mut().for_each(|sequence| sequence.newest = None);
    }

    /// What a state item says after a restart is what was acknowledged, or what was sent and not answered.
    fn settle_state(&mut self, lost: bool) {
        let items: BTreeMap<String, u64> =
            self.log().state_items().into_iter().map(|(key, value)| (key, value.read().unwrap())).collect();
        if !lost {
            for (key, value) in &self.state {
                let maybe = self.state_maybe.iter().any(|(k, v)| k == key && Some(v) == items.get(key));
                assert!(items.get(key) == Some(value) || maybe, "{key} was {value} and is {:?}", items.get(key));
            }
        }
        self.state_maybe.clear();
        for at in (0..self.open.len()).rev() {
            if let Some(committed) = items.get(&format!("txn/{}", self.open[at].number)) {
                let outcome = if *committed == 1 { Outcome::Committed } else { Outcome::Aborted };
                self.ended(at, outcome);
            }
        }
        self.state = items;
    }

    pub async fn end_all_transactions(&mut self) {
        for at in (0..self.open.len()).rev() {
            let before = self.open.len();
            self.end(at, Outcome::Aborted).await;
            assert!(self.open.len() < before, "a transaction cannot be ended: {:?}", self.trace.last());
        }
    }

    pub async fn on_an_empty_disk(&mut self) {
        self.client.end();
        self.fs = FaultyFs::new();
        self.log = Some(self.opened(false).await.unwrap());
        self.settle_state(false);
    }

    fn is_condensed(&self) -> bool {
        self.log().0.core.wal.space().files.iter().any(|file| file.kept)
    }

    /// Every reader sees what the model knows.
    pub async fn judge(&mut self) {
        self.happened.condensed += u64::from(self.is_condensed());
        if self.power_is_off() || self.log().0.core.fence.reason().is_some() {
            return;
        }
        for name in self.topics.keys().cloned().collect::<Vec<_>>() {
            let partition = self.log().partition(&name, 0).unwrap_or_else(|| panic!("topic {name} is gone"));
            let ends = partition.ends();
            let all = self.read(&partition, Isolation::ReadUncommitted).await;
            let committed = self.read(&partition, Isolation::ReadCommitted).await;
            let open: Vec<u64> = self.open.iter().filter(|t| t.topics.contains_key(&name)).map(|t| t.number).collect();
            let Some((all, committed)) = all.zip(committed) else { continue };
            let truth = self.topics.get_mut(&name).unwrap();
            truth.judge(&name, ends.log_start, &all);
            truth.judge_committed(&name, ends.last_stable, &committed);
            assert!(ends.high_watermark >= truth.high_watermark, "{name}: the high watermark went back");
            assert!(
                ends.last_stable == ends.high_watermark || !open.is_empty(),
                "{name}: nothing is open, and only {} of {} is stable",
                ends.last_stable,
                ends.high_watermark
            );
            truth.high_watermark = ends.high_watermark;
        }
    }

    /// What a client sees from the log start to the end that it may see; none while the store is away and history is cold.
    async fn read(&self, partition: &Partition, isolation: Isolation) -> Option<Vec<(i64, Value)>> {
        let ends = partition.ends();
        let until = ends.end_for(isolation);
        let (mut at, mut out, mut dropping) = (ends.log_start, Vec::new(), Vec::new());
        while at < until {
            let fetched = match partition.read(at, 32 << 10, true, isolation).await {
                Ok(fetched) => fetched,
                Err(ReadError::Storage(_)) if self.away || self.power_is_off() => return None,
                Err(error) => panic!("{}: reading at {at}: {error}", partition.topic()),
            };
            assert!(!fetched.batches.is_empty(), "{}: nothing at {at}, below {until}", partition.topic());
            let mut aborted = fetched.aborted.clone();
            for batch in fetched.batches.into_iter().flat_map(split) {
                let batch = batch.unwrap();
                let header = BatchHeader::parse(&batch).unwrap();
                aborted.retain(|(producer_id, first)| {
                    let begins = *first <= header.last_offset();
                    if begins {
                        dropping.push(*producer_id);
                    }
                    !begins
                });
                if let Some(marker) = EndMarker::of_batch(&batch).unwrap() {
                    dropping.retain(|producer_id| *producer_id != marker.producer_id);
                } else if !(header.is_transactional() && dropping.contains(&header.producer_id)) {
                    for_each_record::<crate::record::BatchError>(&batch, 1 << 20, &mut Vec::new(), |record| {
                        let text = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
                        let value = text.split(':').next().unwrap().parse().unwrap();
                        if record.offset >= at {
                            out.push((record.offset, value));
                        }
                        Ok(())
                    })
                    .unwrap();
                }
                at = header.last_offset() + 1;
            }
        }
        Some(out)
    }

    pub fn is_sealed_and_released(&self) {
        for partition in self.log().0.registry.partitions(None).unwrap() {
            let state = partition.state();
            assert_eq!(state.sealed_end, state.high_watermark, "{} is not sealed", partition.topic());
        }
        let space = self.log().0.core.wal.space();
        let newest = space.files.last().map_or(0, |file| file.bytes);
        assert!(space.pinned <= newest, "more than the newest file is pinned: {space:?}");
    }

    pub fn count(&mut self, happened: &mut Happened) {
        happened.condensed += u64::from(self.happened.condensed > 0);
        happened.started_over_condensed += u64::from(self.happened.started_over_condensed > 0);
        happened.took_over += u64::from(self.happened.took_over > 0);
        happened.cut += u64::from(self.happened.cut > 0);
        happened.fenced += u64::from(self.happened.fenced > 0);
        happened.refused += u64::from(self.happened.refused > 0);
    }
}
