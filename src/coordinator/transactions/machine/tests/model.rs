//! I6 and I7 under random lives: producers of both versions that repeat what was not answered, zombies, messages that arrive
//! late, time-outs, crashes that lose whatever was not synced. The log is a list of frames, each there as a whole or not.
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::base::Json;
use crate::coordinator::items::{Changes, txn_key, txn_of_key, value_of};

const TOPIC: Uuid = Uuid([1; 16]);
const PARTITIONS: i32 = 3;
const TIMEOUT_MS: i32 = 50;

/// What happens next; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// A new instance of one of two transactional ids, of either version.
    Start(u8, bool),
    /// A producer goes on: with the call that was not answered, or with this one.
    Call(u8, Wish),
    /// A producer's next write is held up on its way; the producer gives up, and its transaction too.
    Delay(u8, i32),
    /// The oldest write that was held up arrives.
    Arrive,
    /// A producer's connection breaks: it does not learn what its call came to.
    Mute(u8),
    Sync,
    Pass(u8),
    /// The process ends; so many of the frames that were not synced are there all the same.
    Crash(u8),
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Init,
    Write(i32),
    End(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wish = prop_oneof![
        1 => Just(Wish::Init),
        6 => (0..PARTITIONS).prop_map(Wish::Write),
        3 => any::<bool>().prop_map(Wish::End),
    ];
    let step = prop_oneof![
        1 => (0u8..2, any::<bool>()).prop_map(|(id, new)| Step::Start(id, new)),
        12 => (any::<u8>(), wish).prop_map(|(who, wish)| Step::Call(who, wish)),
        1 => (any::<u8>(), 0..PARTITIONS).prop_map(|(who, at)| Step::Delay(who, at)),
        1 => Just(Step::Arrive),
        1 => any::<u8>().prop_map(Step::Mute),
        8 => Just(Step::Sync),
        1 => any::<u8>().prop_map(Step::Pass),
        1 => any::<u8>().prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 1..120)
}

/// One transaction as its producer sees it.
type Tag = u32;

#[derive(Debug, Clone, Copy)]
struct Write {
    producer: Identity,
    partition: i32,
    sequence: i32,
    value: u32,
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Init,
    Add(i32),
    Write(Write),
    End(bool),
}

/// The number of a call's frame, if it made one, and what the answer will say when that is durable.
type Taken = Result<Option<(usize, Option<Identity>)>, TxnError>;

/// A frame of the log.
#[derive(Debug, Clone)]
struct Frame {
    changes: Changes,
    write: Option<Write>,
    end: Option<(TransactionEnd, Places)>,
}

#[derive(Debug, Clone)]
struct Producer {
    name: &'static str,
    version: i8,
    who: Option<Identity>,
    tag: Tag,
    added: BTreeSet<i32>,
    sequences: BTreeMap<i32, i32>,
    /// A call that the log has taken, with its frame and what the answer will say.
    waiting: Option<(Call, usize, Option<Identity>)>,
    /// A call to repeat.
    again: Option<Call>,
    has_written: bool,
    /// It has given up a write that may still arrive.
    must_init: bool,
    /// A newer instance has come since.
    is_old: bool,
    is_dead: bool,
}

#[derive(Default)]
struct World {
    now_ms: i64,
    next_id: i64,
    next_value: u32,
    next_tag: Tag,
    frames: Vec<Frame>,
    synced: usize,
    ids: BTreeMap<String, Transaction>,
    producers: Vec<Producer>,
    late: Vec<(&'static str, i8, Write)>,
    /// Of each value: its transaction, and whether it was acknowledged.
    values: BTreeMap<u32, (Tag, bool)>,
    /// The greatest sequence that was given out, by producer id, epoch and partition.
    given: BTreeMap<(i64, i16, i32), i32>,
    /// What ends were answered with.
    decided: BTreeMap<Tag, bool>,
}

impl World {
    fn run(&mut self, step: Step) {
        match step {
            Step::Start(id, new) => self.start(["a", "b"][usize::from(id)], if new { TV2 } else { 0 }),
            Step::Call(who, wish) => {
                if let Some(at) = self.pick(who) {
                    self.go_on(at, wish);
                }
            }
            Step::Delay(who, partition) => {
                let idle = |p: &Producer| {
                    p.who.is_some() && p.waiting.is_none() && p.again.is_none() && !(p.must_init || p.is_dead)
                };
                if let Some(at) = self.pick(who).filter(|at| idle(&self.producers[*at])) {
                    let write = self.next_write(at, partition);
                    let producer = &mut self.producers[at];
                    if producer.version >= TV2 || producer.has_written {
                        (producer.again, producer.has_written) = (Some(Call::End(false)), true);
                    }
                    // Without TV2 it is the producer who sees to a new epoch (KIP-360).
                    producer.must_init = producer.version < TV2;
                    self.late.push((producer.name, producer.version, write));
                }
            }
            Step::Arrive if !self.late.is_empty() => {
                let (name, version, write) = self.late.remove(0);
                let _ = self.write(name, version, write);
            }
            Step::Arrive => {}
            Step::Mute(who) => {
                if let Some(at) = self.pick(who) {
                    let producer = &mut self.producers[at];
                    producer.again = producer.waiting.take().map(|(call, ..)| call).or(producer.again);
                }
            }
            Step::Sync => self.sync(),
            Step::Pass(ms) => self.pass(ms),
            Step::Crash(keep) => self.crash(keep),
        }
    }

    fn pick(&self, who: u8) -> Option<usize> {
        (!self.producers.is_empty()).then(|| usize::from(who) % self.producers.len())
    }

    fn start(&mut self, name: &'static str, version: i8) {
        let producer = Producer {
            name,
            version,
            who: None,
            tag: self.tag(),
            added: BTreeSet::new(),
            sequences: BTreeMap::new(),
            waiting: None,
            again: None,
            has_written: false,
            must_init: false,
            is_old: false,
            is_dead: false,
        };
        self.producers.push(producer);
    }

    fn tag(&mut self) -> Tag {
        self.next_tag += 1;
        self.next_tag
    }

    fn next_write(&mut self, at: usize, partition: i32) -> Write {
        self.next_value += 1;
        let producer = &self.producers[at];
        let identity = producer.who.expect("it has come");
        let given = self.given.entry((identity.id, identity.epoch, partition)).or_insert(-1);
        let answered = producer.sequences.get(&partition).copied().unwrap_or(-1);
        // Whoever was told that it is over knows nothing of what it gave up: it never gives a sequence to another record.
        let sequence = if producer.is_dead { *given } else { answered } + 1;
        *given = sequence.max(*given);
        self.values.insert(self.next_value, (producer.tag, false));
        Write { producer: identity, partition, sequence, value: self.next_value }
    }

    fn go_on(&mut self, at: usize, wish: Wish) {
        let producer = &self.producers[at];
        if producer.waiting.is_some() {
            return;
        }
        let call = match (producer.again, wish, producer.who) {
            (Some(call), ..) => call,
            // Without TV2 nothing tells a late write of one transaction from a write of the next: who has given one up begins
            // anew, and not at all where it was told that it is over.
            (None, ..) if producer.must_init && producer.is_dead => return,
            (None, ..) if producer.must_init => Call::Init,
            (None, _, None) | (None, Wish::Init, _) if !producer.is_dead && !producer.has_written => Call::Init,
            (None, _, None) | (None, Wish::Init, _) => return,
            (None, Wish::Write(partition), _) if producer.version < TV2 && !producer.added.contains(&partition) => {
                Call::Add(partition)
            }
            (None, Wish::Write(partition), _) => Call::Write(self.next_write(at, partition)),
            (None, Wish::End(commit), _) => Call::End(commit),
        };
        let done = self.call(at, call);
        let producer = &mut self.producers[at];
        match done {
            Ok(Some((frame, answer))) => {
                producer.again = None;
                producer.waiting = Some((call, frame, answer));
            }
            Ok(None) => {
                producer.again = None;
                self.answered(at, call, None);
            }
            Err(TxnError::Concurrent) => producer.again = Some(call),
            Err(TxnError::InvalidState(_)) if !producer.has_written => producer.again = None,
            Err(_) => (producer.is_dead, producer.again) = (true, None),
        }
    }

    /// Makes a call: the number of its frame, if it made one, and what its answer will say.
    fn call(&mut self, at: usize, call: Call) -> Taken {
        let Producer { name, version, who, is_old, .. } = self.producers[at].clone();
        let now_ms = self.now_ms;
        if let Call::Init = call {
            return self.init(name);
        }
        let producer = who.expect("it has come");
        let done = match call {
            Call::Add(partition) => self.add(name, producer, version, partition),
            Call::Write(write) => self.write(name, version, write),
            Call::End(commit) => {
                let outcome = if commit { Outcome::Committed } else { Outcome::Aborted };
                let call = EndCall { producer, outcome, version };
                let next_id = &mut self.next_id;
                let fresh = || {
                    *next_id += 1;
                    *next_id
                };
                let transaction = self.ids.get(name).ok_or(TxnError::UnknownProducerId)?;
                match transaction.end(call, now_ms, fresh)? {
                    End::Before(identity) => return Ok(Some((self.frames.len().saturating_sub(1), Some(identity)))),
                    End::Now(ending) => {
                        let identity = ending.entry.identity();
                        Ok(Some((self.end(name, ending), Some(identity))))
                    }
                }
            }
            Call::Init => unreachable!("done above"),
        };
        assert!(!is_old || !matches!(done, Ok(Some(_))), "a zombie of '{name}' was let in: {call:?}");
        done
    }

    fn init(&mut self, name: &'static str) -> Taken {
        self.next_id += 1;
        let (fresh, now_ms) = (self.next_id, self.now_ms);
        let entry = match self.ids.get(name) {
            None => Entry::new(fresh, TIMEOUT_MS, now_ms),
            Some(transaction) => match transaction.init(None, TIMEOUT_MS, now_ms, || fresh)? {
                Init::Given(entry) => entry,
                Init::AbortFirst(ending) => {
                    self.end(name, ending);
                    return Err(TxnError::Concurrent);
                }
            },
        };
        let identity = entry.identity();
        Ok(Some((self.store(name, entry), Some(identity))))
    }

    fn store(&mut self, name: &str, entry: Entry) -> usize {
        let changes = vec![(txn_key(name), Some(value_of(&entry)))];
        match self.ids.get_mut(name) {
            Some(transaction) => transaction.entry = entry,
            None => drop(self.ids.insert(name.to_owned(), Transaction::new(entry))),
        }
        self.frames.push(Frame { changes, write: None, end: None });
        self.frames.len() - 1
    }

    fn end(&mut self, name: &str, ending: Ending) -> usize {
        let changes = vec![(txn_key(name), Some(value_of(&ending.entry)))];
        let end = Some((ending.marker, ending.partitions.clone()));
        self.frames.push(Frame { changes, write: None, end });
        self.ids.get_mut(name).expect("it ends").begin(ending);
        self.frames.len() - 1
    }

    fn add(&mut self, name: &str, producer: Identity, version: i8, partition: i32) -> Taken {
        let place = TopicPartition { topic: TOPIC, partition };
        let transaction = self.ids.get(name).ok_or(TxnError::UnknownProducerId)?;
        let next = transaction.add(producer, (&[place], None), version, self.now_ms)?;
        Ok(next.map(|next| (self.store(name, next), None)))
    }

    fn write(&mut self, name: &str, version: i8, write: Write) -> Taken {
        let place = TopicPartition { topic: TOPIC, partition: write.partition };
        if version >= TV2 {
            self.add(name, write.producer, version, write.partition)?;
        }
        self.ids.get(name).ok_or(TxnError::UnknownProducerId)?.verify(write.producer, place)?;
        // The partition: what it has is answered again, and what leaves something out is refused.
        let (mut epoch, mut last) = (NO_EPOCH, -1);
        for (at, frame) in self.frames.iter().enumerate() {
            if let Some(known) =
                frame.write.filter(|w| w.partition == write.partition && w.producer.id == write.producer.id)
            {
                if known.producer == write.producer && known.sequence == write.sequence {
                    return Ok(Some((at, None)));
                }
                (epoch, last) = (known.producer.epoch, known.sequence);
            }
        }
        let expected = if epoch == write.producer.epoch { last + 1 } else { 0 };
        if write.producer.epoch < epoch || write.sequence != expected {
            return Err(TxnError::Abortable);
        }
        self.frames.push(Frame { changes: Changes::new(), write: Some(write), end: None });
        Ok(Some((self.frames.len() - 1, None)))
    }

    /// A producer learns what its call came to.
    fn answered(&mut self, at: usize, call: Call, identity: Option<Identity>) {
        let next_tag = self.tag();
        let producer = &mut self.producers[at];
        match call {
            Call::Init => {
                (producer.who, producer.tag) = (identity, next_tag);
                (producer.is_old, producer.must_init) = (false, false);
                (producer.added, producer.sequences) = (BTreeSet::new(), BTreeMap::new());
                let name = producer.name;
                let others = self.producers.iter_mut().enumerate().filter(|(other, _)| *other != at);
                let others = others.filter(|(_, other)| other.name == name && other.who.is_some());
                others.for_each(|(_, other)| other.is_old = true);
            }
            Call::Add(partition) => {
                producer.added.insert(partition);
                producer.has_written = true;
            }
            Call::Write(write) => {
                producer.has_written = true;
                producer.sequences.insert(write.partition, write.sequence);
                if let Some((_, acknowledged)) = self.values.get_mut(&write.value) {
                    *acknowledged = true;
                }
            }
            Call::End(commit) => {
                self.decided.insert(producer.tag, commit);
                (producer.tag, producer.has_written) = (next_tag, false);
                producer.added.clear();
                if identity != producer.who {
                    (producer.who, producer.sequences) = (identity, BTreeMap::new());
                }
            }
        }
    }

    fn sync(&mut self) {
        self.synced = self.frames.len();
        self.ids.values_mut().for_each(Transaction::ended);
        let waiting = self.producers.iter_mut().enumerate().filter_map(|(at, p)| Some((at, p.waiting.take()?)));
        let mut answers: Vec<_> = waiting.map(|(at, (call, frame, identity))| (frame, at, call, identity)).collect();
        answers.sort_by_key(|(frame, ..)| *frame);
        for (_, at, call, identity) in answers {
            self.answered(at, call, identity);
        }
        self.check();
    }

    fn pass(&mut self, ms: u8) {
        self.now_ms += i64::from(ms);
        let due = |t: &Transaction| t.entry.deadline_ms().is_some_and(|due| due <= self.now_ms);
        let due: Vec<_> = self.ids.iter().filter(|(_, t)| due(t)).map(|(name, _)| name.clone()).collect();
        for name in due {
            if let Some(ending) = self.ids[&name].fence(self.now_ms) {
                self.end(&name, ending);
            }
        }
    }

    fn crash(&mut self, keep: u8) {
        let unsynced = self.frames.len() - self.synced;
        self.frames.truncate(self.synced + usize::from(keep) % (unsynced + 1));
        self.synced = self.frames.len();
        let mut items = BTreeMap::new();
        for (key, value) in self.frames.iter().flat_map(|frame| frame.changes.clone()) {
            items.insert(key, value.expect("nothing is removed"));
        }
        let entry = |(key, value): (&String, &Json)| {
            let entry = value.read().expect("an entry");
            (txn_of_key(key).expect("an id").to_owned(), Transaction::new(entry))
        };
        self.ids = items.iter().map(entry).collect();
        for producer in &mut self.producers {
            producer.again = producer.waiting.take().map(|(call, ..)| call).or(producer.again);
        }
        self.check();
    }

    /// I6 and I7 of what is there.
    fn check(&self) {
        let mut open: BTreeMap<i64, BTreeMap<i32, Vec<u32>>> = BTreeMap::new();
        let (mut seen, mut fates) = (BTreeSet::new(), BTreeMap::<Tag, BTreeSet<&str>>::new());
        let mut committed = BTreeSet::new();
        for frame in &self.frames[..self.synced] {
            if let Some(write) = frame.write {
                assert!(seen.insert(write.value), "I6: {write:?} is there twice");
                open.entry(write.producer.id).or_default().entry(write.partition).or_default().push(write.value);
            }
            let Some((marker, places)) = &frame.end else { continue };
            let parts = open.entry(marker.producer_id).or_default();
            let ended: Vec<_> = places.values().flatten().filter_map(|at| parts.remove(at)).flatten().collect();
            let tags: BTreeSet<Tag> = ended.iter().map(|value| self.values[value].0).collect();
            assert!(tags.len() <= 1, "I7: one end for several transactions: {tags:?}");
            let fate = if marker.outcome == Outcome::Committed { "committed" } else { "aborted" };
            for tag in tags {
                fates.entry(tag).or_default().insert(fate);
            }
            if marker.outcome == Outcome::Committed {
                committed.extend(ended);
            }
        }
        for value in open.values().flat_map(BTreeMap::values).flatten() {
            fates.entry(self.values[value].0).or_default().insert("open");
        }
        for (tag, fates) in &fates {
            assert_eq!(fates.len(), 1, "I7: transaction {tag} is {fates:?}");
            let is_committed = fates.contains("committed");
            if let Some(decided) = self.decided.get(tag) {
                assert_eq!(*decided, is_committed, "I7: transaction {tag} was answered otherwise");
            }
        }
        for (value, (tag, acknowledged)) in &self.values {
            let is_committed = fates.get(tag).is_some_and(|fates| fates.contains("committed"));
            assert!(!acknowledged || seen.contains(value), "I1: {value} is lost");
            assert!(!(is_committed && *acknowledged) || committed.contains(value), "I7: {value} is left out");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn transactions_are_whole_and_zombies_stay_out(steps in steps()) {
        let mut world = World::default();
        world.start("a", TV2);
        world.start("b", 0);
        for step in steps {
            world.run(step);
        }
        world.sync();
    }
}
