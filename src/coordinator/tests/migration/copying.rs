//! What the clients do with their partitions: each copies what it reads in transactions of its own (TV2), which commit its offsets
//! too. Calls are sent again when they were not answered; the log knows a batch that it has.
//!
//! A client gives partitions up, or joins, between two of its transactions, and commits as the member that it was when the
//! transaction began, as KIP-447 has it.
use std::collections::BTreeMap;

use super::{Client, Frame, PARTITIONS, TOPIC, World};
use crate::base::{Json, Uuid};
use crate::coordinator::calls::MemberRef;
use crate::coordinator::error::{GroupError, TxnError};
use crate::coordinator::items::{
    Changes, Committed, Item, Items, OffsetBlock, TopicPartition, txn_key, txn_of_key, value_of,
};
use crate::coordinator::offsets::{Offsets, Plan};
use crate::coordinator::transactions::entry::Entry;
use crate::coordinator::transactions::machine::{End, Ending, Init, Transaction};
use crate::coordinator::transactions::{EndCall, Identity, TV2};
use crate::record::Outcome;

const OUTPUT: TopicPartition = TopicPartition { topic: Uuid([9; 16]), partition: 0 };
const TIMEOUT_MS: i32 = 60_000;

/// A record of the copy: by whom, and of which record of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    producer: Identity,
    sequence: i32,
    partition: i32,
    offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Init,
    Write(Copied),
    Commit,
    End(bool),
}

/// A frame of the log that is not of the group.
pub struct Written {
    number: u64,
    changes: Changes,
    done: Done,
}

enum Done {
    Entry,
    Write(Copied),
    Offsets(Plan),
    End(usize, i64, Outcome, Plan),
}

/// A client's loop.
#[derive(Default)]
pub struct Loop {
    who: Option<Identity>,
    sequence: i32,
    /// Where it reads on.
    positions: BTreeMap<i32, i64>,
    /// The member that it was when its transaction began, and what it has read in it.
    open: Option<(MemberRef, BTreeMap<i32, i64>)>,
    has_committed: bool,
    /// Its partitions were taken from it since: it reads nothing more in its transaction.
    is_lost: bool,
    /// The call that it waits for, the frame that answers it, and who it is afterwards.
    waits: Option<(Call, u64, Option<Identity>)>,
    again: Option<Call>,
}

impl Loop {
    /// Whether it is in the middle of a transaction.
    pub fn is_busy(&self) -> bool {
        self.open.is_some()
    }

    /// The process ended, or knows that it cannot go on.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// The client is no member any more: what it has open is for the coordinator to refuse. It does not begin with what it read
    /// before, as the next commit would be that of another member.
    pub fn lose_partitions(&mut self) {
        self.positions.clear();
        self.is_lost = self.is_busy();
        if !self.is_busy() {
            self.again = self.again.filter(|call| !matches!(call, Call::Write(_)));
        }
    }

    /// Between two transactions it forgets where it read in partitions that it has no more, and what it was to write of them.
    pub fn keep(&mut self, client: &Client) {
        if !self.is_busy() {
            self.positions.retain(|partition, _| client.owned.contains(partition));
            let is_of = |call: &Call| !matches!(call, Call::Write(copied) if !client.owned.contains(&copied.partition));
            self.again = self.again.filter(is_of);
        }
    }

    /// An answer is lost.
    pub fn lose_answer(&mut self) {
        self.again = self.waits.take().map(|(call, ..)| call).or(self.again);
    }
}

/// What the broker knows of all this.
#[derive(Default)]
pub struct Copies {
    offsets: Offsets,
    ids: BTreeMap<String, Transaction>,
    /// What is durable: items, records of the copy, and how they were decided.
    items: Items,
    log: Vec<(Copied, Option<Outcome>)>,
    /// Number of the newest durable frame.
    durable: u64,
    next_id: i64,
}

fn id_of(at: usize) -> String {
    format!("x{at}")
}

fn place(partition: i32) -> TopicPartition {
    TopicPartition { topic: TOPIC, partition }
}

impl World {
    /// A client goes on with its loop.
    pub(super) fn copy(&mut self, at: usize, number: u16) {
        let Some(call) = self.next_call(at, number) else { return };
        match self.call(at, call) {
            Ok(Some((frame, who))) if frame <= self.copies.durable => self.answered(at, call, who),
            Ok(Some((frame, who))) => self.loops[at].waits = Some((call, frame, who)),
            Ok(None) => {}
            Err(TxnError::Concurrent) => self.loops[at].again = Some(call),
            // Refused for the group's sake: it gives the transaction up.
            Err(TxnError::Abortable) => self.loops[at].again = Some(Call::End(false)),
            Err(_) => self.loops[at].forget(),
        }
    }

    fn next_call(&mut self, at: usize, number: u16) -> Option<Call> {
        let (own, client) = (&self.loops[at], &self.clients[at]);
        if own.waits.is_some() {
            return None;
        }
        if own.again.is_some() {
            return self.loops[at].again.take();
        }
        let Some(producer) = own.who else { return Some(Call::Init) };
        match &own.open {
            Some(_) if own.has_committed => return Some(Call::End(!number.is_multiple_of(8))),
            Some(_) if own.is_lost || !number.is_multiple_of(3) => return Some(Call::Commit),
            _ => {}
        }
        let partition = *client.owned.iter().nth(usize::from(number) % client.owned.len().max(1))?;
        if client.epoch <= 0 || client.is_between || client.told.as_ref().is_some_and(|told| !told.contains(&partition))
        {
            return None;
        }
        // Whoever reads on waits until what others have committed is decided.
        let committed =
            || self.copies.offsets.get(place(partition), true).ok().map(|found| found.map_or(0, |c| c.offset));
        let offset = own.positions.get(&partition).copied().or_else(committed)?;
        Some(Call::Write(Copied { producer, sequence: own.sequence, partition, offset }))
    }

    /// Makes a call: the frame after which it is answered, and who the producer is then. `None`: it is answered already.
    fn call(&mut self, at: usize, call: Call) -> Result<Option<(u64, Option<Identity>)>, TxnError> {
        if self.is_full {
            return Err(TxnError::Concurrent);
        }
        let now_ms = self.now.wall_ms;
        match (call, self.loops[at].who) {
            (Call::Init, _) => self.init(at).map(Some),
            (_, None) => Ok(None),
            (Call::Write(copied), Some(producer)) => {
                self.begin_transaction(at);
                self.add(at, producer, (&[OUTPUT], None))?;
                self.transaction(at)?.verify(producer, OUTPUT)?;
                self.append(copied).map(|frame| Some((frame, None)))
            }
            (Call::Commit, Some(producer)) => {
                self.add(at, producer, (&[], Some("g")))?;
                self.transaction(at)?.verify_group(producer, "g")?;
                self.commit_offsets(at, producer).map(|frame| Some((frame, None)))
            }
            (Call::End(commits), Some(producer)) => {
                let outcome = if commits { Outcome::Committed } else { Outcome::Aborted };
                let fresh = self.fresh_id();
                let call = EndCall { producer, outcome, version: TV2 };
                match self.transaction(at)?.end(call, now_ms, || fresh)? {
                    End::Now(ending) => {
                        let who = ending.entry.identity();
                        Ok(Some((self.end(at, ending), Some(who))))
                    }
                    End::Before(who) => {
                        self.ended(at, commits, who);
                        Ok(None)
                    }
                }
            }
        }
    }

    fn begin_transaction(&mut self, at: usize) {
        let member = self.member(at);
        let member = MemberRef { instance_id: None, ..member };
        self.loops[at].open.get_or_insert_with(|| (member, BTreeMap::new()));
    }

    fn transaction(&self, at: usize) -> Result<&Transaction, TxnError> {
        self.copies.ids.get(&id_of(at)).ok_or(TxnError::UnknownProducerId)
    }

    fn fresh_id(&mut self) -> i64 {
        self.copies.next_id += 1;
        self.copies.next_id
    }

    fn put(&mut self, changes: Changes, done: Done) -> u64 {
        let number = self.number();
        self.journal.push_back(Frame::Written(Written { number, changes, done }));
        number
    }

    fn store(&mut self, at: usize, entry: Entry) -> u64 {
        let changes = vec![(txn_key(&id_of(at)), Some(value_of(&entry)))];
        match self.copies.ids.get_mut(&id_of(at)) {
            Some(transaction) => transaction.entry = entry,
            None => drop(self.copies.ids.insert(id_of(at), Transaction::new(entry))),
        }
        self.put(changes, Done::Entry)
    }

    fn init(&mut self, at: usize) -> Result<(u64, Option<Identity>), TxnError> {
        let (fresh, now_ms) = (self.fresh_id(), self.now.wall_ms);
        let entry = match self.copies.ids.get(&id_of(at)) {
            None => Entry::new(fresh, TIMEOUT_MS, now_ms),
            Some(transaction) => match transaction.init(None, TIMEOUT_MS, now_ms, || fresh)? {
                Init::Given(entry) => entry,
                Init::AbortFirst(ending) => {
                    self.end(at, ending);
                    return Err(TxnError::Concurrent);
                }
            },
        };
        let who = entry.identity();
        Ok((self.store(at, entry), Some(who)))
    }

    fn add(&mut self, at: usize, producer: Identity, what: (&[TopicPartition], Option<&str>)) -> Result<(), TxnError> {
        let next = self.transaction(at)?.add(producer, what, TV2, self.now.wall_ms)?;
        if let Some(next) = next {
            self.store(at, next);
        }
        Ok(())
    }

    /// The log: what it has is answered again, and what leaves something out is refused.
    fn append(&mut self, copied: Copied) -> Result<u64, TxnError> {
        let in_flight = self.journal.iter().filter_map(|frame| match frame {
            Frame::Written(Written { number, done: Done::Write(copied), .. }) => Some((*number, *copied)),
            _ => None,
        });
        let durable = self.copies.log.iter().map(|(copied, _)| (0, *copied));
        let same = |(_, known): &(u64, Copied)| known.producer == copied.producer;
        let known: Vec<_> = durable.chain(in_flight).filter(same).collect();
        if let Some((number, _)) = known.iter().find(|(_, known)| known.sequence == copied.sequence) {
            return Ok(*number);
        }
        match known.len() == usize::try_from(copied.sequence).unwrap() {
            true => Ok(self.put(Changes::new(), Done::Write(copied))),
            false => Err(TxnError::Abortable),
        }
    }

    fn commit_offsets(&mut self, at: usize, producer: Identity) -> Result<u64, TxnError> {
        let (member, read) = self.loops[at].open.clone().unwrap_or_default();
        let (now, group) = (self.now, &mut self.slot.group);
        let checked = group.check_commit(&member, true, now);
        let refused =
            checked.and_then(|()| read.keys().try_for_each(|at| group.check_place(&member, place(*at), true)));
        refused.map_err(|error: GroupError| match error {
            GroupError::RebalanceInProgress | GroupError::NotAvailable(_) => TxnError::Concurrent,
            _ => TxnError::Abortable,
        })?;
        let committed = |(at, offset): (i32, i64)| {
            let (metadata, commit_ms) = (String::new(), now.wall_ms);
            (place(at), Committed { offset, leader_epoch: 0, metadata, commit_ms, expire_ms: None })
        };
        let plan = self.copies.offsets.commit_pending("g", producer.id, read.into_iter().map(committed).collect());
        self.copies.offsets.begin(&plan);
        Ok(self.put(plan.changes.clone(), Done::Offsets(plan)))
    }

    fn end(&mut self, at: usize, ending: Ending) -> u64 {
        let (marker, outcome) = (ending.marker, ending.marker.outcome);
        let decides = ending.groups.contains("g");
        let plan = if decides {
            self.copies.offsets.end("g", marker.producer_id, outcome == Outcome::Committed)
        } else {
            Plan::default()
        };
        let mut changes = vec![(txn_key(&id_of(at)), Some(value_of(&ending.entry)))];
        changes.extend(plan.changes.iter().cloned());
        self.copies.offsets.begin(&plan);
        self.copies.ids.get_mut(&id_of(at)).expect("it ends").begin(ending);
        self.put(changes, Done::End(at, marker.producer_id, outcome, plan))
    }

    /// A frame is durable; `tell`: and the broker is there to say so.
    pub(super) fn written(&mut self, Written { number, changes, done }: Written, tell: bool) {
        self.copies.durable = number;
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.copies.items.insert(key, value)),
                None => drop(self.copies.items.remove(&key)),
            }
        }
        match done {
            Done::Write(copied) => self.copies.log.push((copied, None)),
            Done::End(_, producer_id, outcome, _) => {
                let open =
                    |(copied, end): &&mut (Copied, Option<Outcome>)| copied.producer.id == producer_id && end.is_none();
                self.copies.log.iter_mut().filter(open).for_each(|(_, end)| *end = Some(outcome));
            }
            Done::Entry | Done::Offsets(_) => {}
        }
        match done {
            Done::Offsets(plan) if tell => self.copies.offsets.finish(plan),
            Done::End(at, _, _, plan) if tell => {
                self.copies.offsets.finish(plan);
                if let Some(transaction) = self.copies.ids.get_mut(&id_of(at)) {
                    transaction.ended();
                }
            }
            _ => {}
        }
        self.check_copies();
        for at in (0..self.loops.len()).filter(|_| tell) {
            if self.loops[at].waits.is_some_and(|(_, frame, _)| frame <= number) {
                let (call, _, who) = self.loops[at].waits.take().expect("it waits");
                self.answered(at, call, who);
            }
        }
    }

    fn answered(&mut self, at: usize, call: Call, who: Option<Identity>) {
        let own = &mut self.loops[at];
        match (call, who) {
            (Call::Init, who) => (own.who, own.sequence) = (who, 0),
            (Call::Write(copied), _) => {
                own.sequence = copied.sequence + 1;
                own.positions.insert(copied.partition, copied.offset + 1);
                if let Some((_, read)) = &mut own.open {
                    read.insert(copied.partition, copied.offset + 1);
                }
            }
            (Call::Commit, _) => own.has_committed = true,
            (Call::End(commits), Some(who)) => self.ended(at, commits, who),
            (Call::End(_), None) => unreachable!("an end says who the producer is"),
        }
    }

    fn ended(&mut self, at: usize, commits: bool, who: Identity) {
        let own = &mut self.loops[at];
        (own.who, own.sequence, own.open, own.has_committed) = (Some(who), 0, None, false);
        if !commits || own.is_lost {
            own.positions.clear();
        }
        own.is_lost = false;
    }

    /// Transactions that are open for too long are aborted.
    pub(super) fn expire(&mut self) {
        let now_ms = self.now.wall_ms;
        for at in 0..self.loops.len() {
            let is_due = |transaction: &&Transaction| transaction.entry.deadline_ms().is_some_and(|due| due <= now_ms);
            let ending =
                self.copies.ids.get(&id_of(at)).filter(is_due).and_then(|transaction| transaction.fence(now_ms));
            if let Some(ending) = ending.filter(|_| !self.is_full) {
                self.end(at, ending);
            }
        }
    }

    /// The broker starts again with what is durable.
    pub(super) fn recover_copies(&mut self) {
        let Copies { items, log, durable, next_id, .. } = std::mem::take(&mut self.copies);
        self.copies = Copies { log, durable, next_id, ..Copies::default() };
        let restore = |(key, value): (&String, &Json)| {
            if let Some(name) = txn_of_key(key) {
                return drop(self.copies.ids.insert(name.to_owned(), Transaction::new(value.read().unwrap())));
            }
            match Item::read(key, value).unwrap().unwrap() {
                Item::Offsets(_, topic, offsets) => {
                    for (partition, committed) in offsets {
                        self.copies.offsets.restore(TopicPartition { topic, partition }, committed);
                    }
                }
                Item::Pending(_, producer_id, place, committed) => {
                    self.copies.offsets.restore_pending(producer_id, place, committed);
                }
                _ => unreachable!("the group is kept beside them"),
            }
        };
        items.iter().for_each(restore);
        self.copies.items = items;
        self.loops.iter_mut().for_each(Loop::lose_answer);
    }

    /// Every record of the input up to the committed offset is in the copy once, in its order, as committed; nothing else is.
    fn check_copies(&self) {
        for partition in 0..PARTITIONS {
            let is_committed = |(copied, end): &&(Copied, Option<Outcome>)| {
                copied.partition == partition && *end == Some(Outcome::Committed)
            };
            let copied: Vec<i64> =
                self.copies.log.iter().filter(is_committed).map(|(copied, _)| copied.offset).collect();
            let key = crate::coordinator::items::offset_key("g", OffsetBlock::of(place(partition)));
            let item = self.copies.items.get(&key).map(|value| Item::read(&key, value).unwrap().unwrap());
            let committed = item.and_then(|item| match item {
                Item::Offsets(_, _, offsets) => offsets.get(&partition).map(|committed| committed.offset),
                other => panic!("{other:?}"),
            });
            assert_eq!(copied, (0..committed.unwrap_or(0)).collect::<Vec<_>>(), "the copy of partition {partition}");
        }
    }
}
