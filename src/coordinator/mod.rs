//! Row 5: the coordinator of groups and transactions. It decides in pure state machines (no async, no I/O, no clock); what
//! runs them is thin.
//!
//! Its state is items, of which the last value wins. They go through the log's WAL as frames; nothing is visible or answered
//! before its frame is durable. After a restart the members of a group go on where they were.
//!
//! | file | what it does |
//! |---|---|
//! | [`calls`] | what is asked of groups, and what they answer: plain types |
//! | [`error`] | why a call is refused, 1:1 with Kafka's codes |
//! | [`options`] | what the operator may choose |
//! | [`items`] | keys and values of state: a format |
//! | [`journal`] | what the coordinator needs of the log |
//! | [`classic`] | groups that join and sync (pure) |
//! | [`consumer`] | groups of the consumer protocol, KIP-848 (pure) |
//! | `embedded` | what consumers embed in the classic protocol |
//! | `group` | a group of any protocol, with its offsets |
//! | [`offsets`] | the committed offsets of a group (pure) |
//! | [`settings`] | settings of single groups (pure but for a lock) |
//! | [`broker_settings`] | the broker's own settings, and changes of them while it runs |
//! | `shards` | what runs the groups |
//! | `lag` | how far groups are behind, for the metrics |
//! | [`transactions`] | transactional ids and their transactions |
//! | `membership`, `committing`, `admin` | the calls of [`Coordinator`], by who makes them |
mod admin;
pub mod broker_settings;
pub mod calls;
pub mod classic;
mod committing;
pub mod consumer;
mod embedded;
pub mod error;
mod group;
pub mod items;
pub mod journal;
mod lag;
mod membership;
pub mod offsets;
pub mod options;
pub mod settings;
mod shards;
pub mod transactions;

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::base::metrics::{Counter, Gauge};
use crate::base::tasks::Tasks;
use crate::base::{Clock, Metrics, Random, Uuid};
use crate::log::{Env, Log};
use classic::Cx;
use group::{Group, Slot};
use items::{BadItem, Changes, Item, Items, LOSS_KEY, TopicPartition, group_key, value_of};
use journal::{Journal, JournalError, Topics};
use settings::GroupSettings;
use shards::{Locked, Shards};

pub use broker_settings::{BrokerSetting, BrokerSettings, FixedSetting, SettingError};
pub use committing::Commit;
pub use error::{GroupError, TxnError};
pub use options::{GroupOptions, Live, Options};
pub use transactions::{TransactionOptions, Transactions};

/// How often groups, members and offsets are counted.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// What the coordinator takes from its surroundings.
#[derive(Clone)]
pub struct Surroundings {
    /// Where its state goes.
    pub journal: Arc<dyn Journal>,
    /// The topics that there are.
    pub topics: Arc<dyn Topics>,
    /// Wall and monotonic time.
    pub clock: Clock,
    /// Member ids.
    pub random: Random,
    /// Where it registers what it counts.
    pub metrics: Metrics,
    /// Where its tasks run.
    pub tasks: Tasks,
}

/// Why the coordinator cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What was recovered cannot be understood.
    #[error(transparent)]
    BadItem(#[from] BadItem),
    /// The journal takes nothing.
    #[error("groups cannot be stored: {0}")]
    Journal(#[from] JournalError),
    /// The log ended meanwhile.
    #[error("the log ended while groups were recovered")]
    Ended,
}

/// The coordinator of all groups; cheap to clone.
#[derive(Clone)]
pub struct Coordinator(Arc<Inner>);

struct Inner {
    shards: Arc<Shards>,
    topics: Arc<dyn Topics>,
    live: Live,
    settings: Arc<GroupSettings>,
    random: Random,
    counts: Counts,
}

struct Counts {
    groups: Gauge,
    members: Gauge,
    offsets: Gauge,
    commits: Counter,
    expired: Counter,
}

impl Counts {
    fn new(metrics: &Metrics) -> Self {
        Self {
            groups: metrics.gauge("groups", "Groups that are known"),
            members: metrics.gauge("group_members", "Members of all groups"),
            offsets: metrics.gauge("group_offsets", "Partitions of which a group has committed an offset"),
            commits: metrics.counter("group_offset_commits", "Offsets that were committed"),
            expired: metrics.counter("group_offsets_expired", "Offsets that were removed because nobody used them"),
        }
    }
}

/// Both coordinators of a log: what serves Kafka's clients from it.
#[derive(Debug, Clone)]
pub struct Coordinators {
    /// Of groups and their offsets.
    pub groups: Coordinator,
    /// Of transactions.
    pub transactions: Transactions,
    /// The broker's settings, which both follow.
    pub settings: BrokerSettings,
}

impl Coordinators {
    /// The coordinators of a log that was just opened, with the options of its start. What was changed since then stands
    /// above them.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn of(log: &Log, options: Options, env: &Env) -> Result<Self, OpenError> {
        let settings = BrokerSettings::of(log, options);
        let groups = Coordinator::of(log, settings.live(), env).await?;
        let transactions = Transactions::of(log, &groups, settings.live(), env).await?;
        Ok(Self { groups, transactions, settings })
    }
}

impl Coordinator {
    /// The coordinator of a log that was just opened.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn of(log: &Log, live: Live, env: &Env) -> Result<Self, OpenError> {
        let Env { clock, random, metrics, tasks, .. } = env.clone();
        let log = Arc::new(log.clone());
        let (items, lost_wal) = (log.state_items(), log.wal_after_loss());
        let surroundings = Surroundings { journal: log.clone(), topics: log, clock, random, metrics, tasks };
        Self::open(items, lost_wal, live, surroundings).await
    }

    /// Begins with the items that were recovered. `lost_wal`: the WAL that began when another one was lost. What groups did
    /// at its end is unknown, so at the first start after it every group begins without members, durably so when this
    /// returns; offsets stay.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        items: Items,
        lost_wal: Option<Uuid>,
        live: impl Into<Live>,
        surroundings: Surroundings,
    ) -> Result<Self, OpenError> {
        let Surroundings { journal, topics, clock, random, metrics, tasks } = surroundings;
        let live = live.into();
        let (shards, ends) = Shards::new(journal, topics.clone(), clock, live.clone());
        let loss = lost_wal.map(|id| value_of(&id)).filter(|id| items.get(LOSS_KEY) != Some(id));
        let settings = Arc::new(GroupSettings::new(live.clone()));
        let mut emptied = recover(&shards, items, loss.is_some(), &live.get().groups, &settings)?;
        emptied.extend(loss.map(|id| (LOSS_KEY.to_owned(), Some(id))));
        if !emptied.is_empty() {
            shards.put(emptied)?.await.map_err(|_| OpenError::Ended)?;
        }
        tasks.hot.spawn(ends.run(Arc::downgrade(&shards)));
        let inner = Arc::new(Inner { shards, topics, live, settings, random, counts: Counts::new(&metrics) });
        inner.forget_topics();
        lag::measure(&metrics, Arc::downgrade(&inner));
        tasks.hot.spawn(look_after(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }
}

/// Counts what there is, and removes what has expired every so often.
async fn look_after(inner: Weak<Inner>) {
    let mut since_clean = Duration::ZERO;
    loop {
        let Some(every) = inner.upgrade().map(|inner| inner.options().clean_every()) else { return };
        let pause = every.saturating_sub(since_clean).min(COUNT_EVERY);
        tokio::time::sleep(pause).await;
        let Some(inner) = inner.upgrade() else { return };
        since_clean += pause;
        if since_clean >= inner.options().clean_every() {
            inner.clean();
            since_clean = Duration::ZERO;
        }
        inner.count();
    }
}

impl Inner {
    /// What holds for groups now.
    fn options(&self) -> GroupOptions {
        self.live.get().groups.clone()
    }
}

/// Fills the shards. Returns the items of groups that lost their members.
fn recover(
    shards: &Shards,
    items: Items,
    lost_wal: bool,
    options: &GroupOptions,
    settings: &GroupSettings,
) -> Result<Changes, BadItem> {
    let rules = options.rules();
    let now = shards.now();
    let mut changes = Changes::new();
    let mut pending = Vec::new();
    // The settings of a group stand before the group.
    for (key, value) in items {
        match Item::read(&key, &value)? {
            None => {}
            Some(Item::Settings(group, values)) => settings.restore(&group, values),
            Some(Item::Group(id, item)) => {
                let item = if lost_wal { Group::without_members(item, now) } else { item };
                if lost_wal {
                    changes.push((group_key(&id), Some(value_of(&item))));
                }
                let mut out = Vec::new();
                let group =
                    Group::restore(&id, item, &settings.rules_of(&id), &mut Cx { rules: &rules, now, out: &mut out });
                debug_assert!(out.is_empty(), "nobody waits yet, and nothing changes");
                slot(shards, &id, |slot| slot.group = group);
            }
            Some(Item::Offsets(id, topic, offsets)) => slot(shards, &id, |slot| {
                for (partition, committed) in offsets {
                    slot.offsets.restore(TopicPartition { topic, partition }, committed);
                }
            }),
            Some(Item::Pending(id, producer_id, place, committed)) => pending.push((id, producer_id, place, committed)),
        }
    }
    pending.sort_by_key(|(.., committed)| committed.commit_ms);
    for (id, producer_id, place, committed) in pending {
        slot(shards, &id, |slot| slot.offsets.restore_pending(producer_id, place, committed));
    }
    Ok(changes)
}

/// Changes a group that is being recovered; the first word of it adds it.
fn slot(shards: &Shards, id: &str, change: impl FnOnce(&mut Slot)) {
    let now = shards.now();
    let mut shard: Locked<'_> = shards.lock(id);
    let mut slot = shard.take(id).unwrap_or_else(|| Slot::new(id, now));
    change(&mut slot);
    shard.insert(id, slot);
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").field("groups", &self.0.shards.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
