//! What runs the groups: shards under a lock each, one task that finishes what has become durable, one that minds the time.
//!
//! A call locks its group's shard, asks the group, hands changes to the journal, and waits outside of the lock. The journal
//! says in its own order what is durable, and one task takes that in, in the same order; so what readers see is always a
//! state that the log went through.
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::calls::{Effect, JoinRefused, Joined, Now, Synced, Then, Ticket};
use super::classic::{Cx, Rules};
use super::consumer::Beaten;
use super::error::GroupError;
use super::group::Slot;
use super::items::{Changes, group_key, value_of};
use super::journal::{Journal, JournalError, Topics};
use super::offsets::Plan;
use super::options::Live;
use super::settings::{GroupSettings, Values};
use crate::base::Clock;

const SHARDS: usize = 32;
/// No deadline.
const NEVER: i64 = i64::MAX;

/// Answer to a join.
pub type JoinAnswer = Result<Joined, JoinRefused>;
/// Answer to a sync.
pub type SyncAnswer = Result<Synced, GroupError>;
/// Answer to a heartbeat of the consumer protocol.
pub type BeatAnswer = Result<Beaten, GroupError>;
/// Answer to a change of offsets.
pub type Durable = oneshot::Sender<Result<(), GroupError>>;

/// All groups.
pub struct Shards {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    journal: Arc<dyn Journal>,
    topics: Arc<dyn Topics>,
    clock: Clock,
    live: Live,
    groups: AtomicUsize,
    tickets: AtomicU64,
    unfinished: mpsc::UnboundedSender<Unfinished>,
    wake: watch::Sender<i64>,
}

/// Some of the groups.
#[derive(Default)]
pub struct Shard {
    pub slots: HashMap<Arc<str>, Slot>,
    deadlines: BTreeSet<(i64, Arc<str>)>,
    joins: HashMap<Ticket, oneshot::Sender<JoinAnswer>>,
    syncs: HashMap<Ticket, oneshot::Sender<SyncAnswer>>,
    beats: HashMap<Ticket, oneshot::Sender<BeatAnswer>>,
}

/// Changes that are in the journal and not yet durable.
pub struct Unfinished {
    durable: oneshot::Receiver<()>,
    then: Finish,
}

/// What follows when changes are durable.
pub enum Finish {
    /// A group goes on.
    Group(Arc<str>, Then),
    /// Offsets of groups become visible.
    Offsets(Vec<(Arc<str>, Plan)>, Durable),
    /// A group is gone.
    Deleted(Arc<str>, Durable),
    /// Settings of a group are in force.
    Settings(Arc<GroupSettings>, String, Values, Durable),
}

/// The ends at which the two tasks work.
pub struct Tasks {
    unfinished: mpsc::UnboundedReceiver<Unfinished>,
    wake: watch::Receiver<i64>,
}

impl Shards {
    /// No groups yet.
    pub fn new(journal: Arc<dyn Journal>, topics: Arc<dyn Topics>, clock: Clock, live: Live) -> (Arc<Self>, Tasks) {
        let (unfinished, finished) = mpsc::unbounded_channel();
        let (wake, woken) = watch::channel(NEVER);
        let shards = Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            journal,
            topics,
            clock,
            live,
            groups: AtomicUsize::new(0),
            tickets: AtomicU64::new(0),
            unfinished,
            wake,
        };
        (Arc::new(shards), Tasks { unfinished: finished, wake: woken })
    }

    /// What classic groups have to keep to.
    fn rules(&self) -> Rules {
        self.live.get().groups.rules()
    }

    /// The time.
    pub fn now(&self) -> Now {
        let ms = i64::try_from(self.clock.elapsed().as_millis()).unwrap_or(i64::MAX / 2);
        Now { ms, wall_ms: self.clock.now_ms() }
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.load(Ordering::Relaxed)
    }

    /// The shard of a group.
    pub fn lock(&self, group: &str) -> Locked<'_> {
        self.lock_at(self.index(group))
    }

    /// Every shard, one after the other.
    pub fn all(&self) -> impl Iterator<Item = Locked<'_>> {
        (0..SHARDS).map(|at| self.lock_at(at))
    }

    /// The shards of several groups, each once, locked in their order so that nobody waits in a circle.
    pub fn lock_many<'a>(&self, groups: impl Iterator<Item = &'a str>) -> Vec<(usize, Locked<'_>)> {
        let indexes: BTreeSet<usize> = groups.map(|group| self.index(group)).collect();
        indexes.into_iter().map(|at| (at, self.lock_at(at))).collect()
    }

    /// Number of a group's shard.
    pub fn index(&self, group: &str) -> usize {
        usize::try_from(self.hasher.hash_one(group) % SHARDS as u64).unwrap_or(0)
    }

    /// Hands changes to the journal.
    pub fn put(&self, changes: Changes) -> Result<oneshot::Receiver<()>, JournalError> {
        self.journal.put(changes)
    }

    /// The same for what may share a sync with others of its kind.
    pub fn put_patiently(&self, changes: Changes) -> Result<oneshot::Receiver<()>, JournalError> {
        self.journal.put_patiently(changes)
    }

    /// Has `then` happen when `durable` says so.
    pub fn finish_later(&self, durable: oneshot::Receiver<()>, then: Finish) {
        // The task ends with the broker only; then nobody is answered any more.
        let _ = self.unfinished.send(Unfinished { durable, then });
    }

    fn lock_at(&self, at: usize) -> Locked<'_> {
        let shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        Locked { shard, shards: self }
    }

    /// Takes in what has become durable, or never will.
    fn finish(&self, then: Finish, durable: bool) {
        let outcome = || match durable {
            true => Ok(()),
            false => Err(GroupError::NotCoordinator("the log has ended".to_owned())),
        };
        match then {
            Finish::Group(group, then) => {
                self.lock(&group).ask(&group, |slot, cx| slot.group.stored(then, outcome(), cx));
            }
            Finish::Offsets(plans, answer) => {
                for (group, plan) in plans {
                    if durable {
                        self.lock(&group).ask(&group, |slot, _| slot.offsets.finish(plan));
                    }
                }
                let _ = answer.send(outcome());
            }
            Finish::Settings(settings, group, values, answer) => {
                if durable {
                    settings.put_in_force(&group, values);
                }
                let _ = answer.send(outcome());
            }
            Finish::Deleted(group, answer) => {
                if durable {
                    self.lock(&group).take(&group);
                }
                let _ = answer.send(outcome());
            }
        }
    }

    /// Does what is due now.
    pub fn tick(&self) {
        self.wake.send_replace(NEVER);
        let now = self.now();
        for mut shard in self.all() {
            while let Some(group) = shard.due(now.ms) {
                shard.ask(&group, |slot, cx| slot.group.tick(cx));
            }
            shard.wake_at_first();
        }
    }
}

/// A locked shard.
pub struct Locked<'a> {
    shard: MutexGuard<'a, Shard>,
    shards: &'a Shards,
}

impl Locked<'_> {
    /// The shard itself, to look at.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// A group, to look at.
    pub fn get(&self, group: &str) -> Option<&Slot> {
        self.shard.slots.get(group)
    }

    /// Asks a group something and does what it wants done. `None`: there is no such group.
    pub fn ask<T>(&mut self, group: &str, question: impl FnOnce(&mut Slot, &mut Cx) -> T) -> Option<T> {
        let id = self.shard.slots.get_key_value(group)?.0.clone();
        let slot = self.shard.slots.get_mut(group)?;
        let (now, mut out) = (self.shards.now(), Vec::new());
        let rules = self.shards.rules();
        let mut cx = Cx { rules: &rules, now, out: &mut out };
        let answer = question(slot, &mut cx);
        slot.give_back(group, &*self.shards.topics, &mut cx);
        self.perform(&id, now, out);
        self.rearm(&id);
        Some(answer)
    }

    /// Adds a group, unless there are `most` already.
    pub fn add(&mut self, group: &str, most: usize) -> Result<(), GroupError> {
        if self.shard.slots.contains_key(group) {
            return Ok(());
        }
        if self.shards.len() >= most {
            return Err(GroupError::TooManyGroups(most));
        }
        self.insert(group, Slot::new(group, self.shards.now()));
        Ok(())
    }

    /// Adds a group as it was recovered.
    pub fn insert(&mut self, group: &str, slot: Slot) {
        let id: Arc<str> = group.into();
        if self.shard.slots.insert(id.clone(), slot).is_none() {
            self.shards.groups.fetch_add(1, Ordering::Relaxed);
        }
        self.rearm_kept(&id);
    }

    /// Takes a group out.
    pub fn take(&mut self, group: &str) -> Option<Slot> {
        let (id, mut slot) = self.shard.slots.remove_entry(group)?;
        self.shards.groups.fetch_sub(1, Ordering::Relaxed);
        if let Some(at) = slot.armed.take() {
            self.shard.deadlines.remove(&(at, id));
        }
        Some(slot)
    }

    /// A ticket for a join, and where its answer comes.
    pub fn join_ticket(&mut self) -> (Ticket, oneshot::Receiver<JoinAnswer>) {
        let (answer, answered) = oneshot::channel();
        let ticket = self.shards.tickets.fetch_add(1, Ordering::Relaxed);
        self.shard.joins.insert(ticket, answer);
        (ticket, answered)
    }

    /// A ticket for a sync, and where its answer comes.
    pub fn sync_ticket(&mut self) -> (Ticket, oneshot::Receiver<SyncAnswer>) {
        let (answer, answered) = oneshot::channel();
        let ticket = self.shards.tickets.fetch_add(1, Ordering::Relaxed);
        self.shard.syncs.insert(ticket, answer);
        (ticket, answered)
    }

    /// A ticket for a heartbeat of the consumer protocol, and where its answer comes.
    pub fn beat_ticket(&mut self) -> (Ticket, oneshot::Receiver<BeatAnswer>) {
        let (answer, answered) = oneshot::channel();
        let ticket = self.shards.tickets.fetch_add(1, Ordering::Relaxed);
        self.shard.beats.insert(ticket, answer);
        (ticket, answered)
    }

    fn perform(&mut self, id: &Arc<str>, now: Now, effects: Vec<Effect>) {
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Joined(ticket, answer) => {
                    // Whoever asked may have gone.
                    if let Some(to) = self.shard.joins.remove(&ticket) {
                        let _ = to.send(answer);
                    }
                }
                Effect::Synced(ticket, answer) => {
                    if let Some(to) = self.shard.syncs.remove(&ticket) {
                        let _ = to.send(answer);
                    }
                }
                Effect::Beaten(ticket, answer) => {
                    let _ = self.shard.beats.remove(&ticket).map(|to| to.send(answer));
                }
                Effect::Store(item, then) => match self.shards.put(vec![(group_key(id), Some(value_of(&item)))]) {
                    Ok(durable) => self.shards.finish_later(durable, Finish::Group(id.clone(), then)),
                    Err(error) => {
                        tracing::warn!(group = %id, %error, "the group cannot be stored now");
                        let mut out = Vec::new();
                        let mut cx = Cx { rules: &self.shards.rules(), now, out: &mut out };
                        if let Some(slot) = self.shard.slots.get_mut(id) {
                            slot.group.stored(then, Err(error.into()), &mut cx);
                        }
                        effects.extend(out);
                    }
                },
            }
        }
    }

    /// Registers the next deadline of a group; one that holds nothing is dropped.
    fn rearm(&mut self, id: &Arc<str>) {
        if self.get(id).is_some_and(Slot::is_blank) {
            self.take(id);
        }
        self.rearm_kept(id);
    }

    fn rearm_kept(&mut self, id: &Arc<str>) {
        let shard = &mut *self.shard;
        let Some(slot) = shard.slots.get_mut(id) else { return };
        let next = slot.group.next_deadline();
        if next == slot.armed {
            return;
        }
        if let Some(at) = std::mem::replace(&mut slot.armed, next) {
            shard.deadlines.remove(&(at, id.clone()));
        }
        if let Some(at) = next {
            shard.deadlines.insert((at, id.clone()));
            self.shards.wake_at(at);
        }
    }

    fn due(&self, now_ms: i64) -> Option<Arc<str>> {
        self.shard.deadlines.first().filter(|(at, _)| *at <= now_ms).map(|(_, id)| id.clone())
    }

    fn wake_at_first(&self) {
        if let Some((at, _)) = self.shard.deadlines.first() {
            self.shards.wake_at(*at);
        }
    }
}

impl Shards {
    /// Sees to it that [`Shards::tick`] runs at `at`, if not earlier.
    fn wake_at(&self, at: i64) {
        self.wake.send_if_modified(|next| {
            let sooner = at < *next;
            *next = (*next).min(at);
            sooner
        });
    }
}

impl Tasks {
    /// Runs both tasks until the groups are dropped.
    pub async fn run(self, shards: Weak<Shards>) {
        let Self { unfinished, wake } = self;
        tokio::join!(finish_all(unfinished, shards.clone()), mind_time(wake, shards));
    }
}

async fn finish_all(mut unfinished: mpsc::UnboundedReceiver<Unfinished>, shards: Weak<Shards>) {
    while let Some(Unfinished { durable, then }) = unfinished.recv().await {
        let durable = durable.await.is_ok();
        let Some(shards) = shards.upgrade() else { return };
        shards.finish(then, durable);
    }
}

async fn mind_time(mut wake: watch::Receiver<i64>, shards: Weak<Shards>) {
    loop {
        let at = *wake.borrow_and_update();
        let wait = {
            let Some(shards) = shards.upgrade() else { return };
            u64::try_from(at.saturating_sub(shards.now().ms)).unwrap_or(0)
        };
        let sleep = async {
            if at == NEVER {
                std::future::pending().await
            } else {
                tokio::time::sleep(Duration::from_millis(wait)).await
            }
        };
        tokio::select! {
            changed = wake.changed() => if changed.is_err() { return },
            () = sleep => {
                let Some(shards) = shards.upgrade() else { return };
                shards.tick();
            }
        }
    }
}

impl From<JournalError> for GroupError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Busy(why) => Self::NotAvailable(why),
            JournalError::Closed(why) => Self::NotCoordinator(why),
        }
    }
}
