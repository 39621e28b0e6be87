//! What runs the groups, over a journal that syncs when the test says so.
mod consumers;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::super::items::TopicPartition;
use super::super::*;
use super::journal::FakeJournal;
use crate::base::Json;
use crate::coordinator::calls::{JoinGroup, MemberRef};
use crate::coordinator::consumer::catalog::{Catalog, TopicShape};
use crate::log::TopicInfo;

const TOPIC: Uuid = Uuid([1; 16]);
const PLACE: TopicPartition = TopicPartition { topic: TOPIC, partition: 0 };

#[derive(Default)]
struct Fake {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    journal: FakeJournal,
    topics: BTreeMap<Uuid, String>,
}

impl Fake {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync(&self) {
        self.state().journal.sync();
    }
}

impl Journal for Fake {
    fn put(&self, changes: Changes) -> Result<oneshot::Receiver<()>, JournalError> {
        self.state().journal.put(changes)
    }
}

impl Topics for Fake {
    fn topic(&self, id: Uuid) -> Option<Arc<TopicInfo>> {
        let name = self.state().topics.get(&id)?.clone();
        Some(Arc::new(TopicInfo { name, id, partitions: 1, settings: BTreeMap::new() }))
    }

    fn records_from(&self, _: &str, partition: i32, offset: i64) -> Option<i64> {
        (partition == 0).then_some((100 - offset).max(0))
    }
}

impl Catalog for Fake {
    fn version(&self) -> u64 {
        self.state().topics.len() as u64
    }

    fn shape(&self, name: &str) -> Option<TopicShape> {
        self.shapes().into_iter().find(|shape| shape.name == name)
    }

    fn name_of(&self, id: Uuid) -> Option<String> {
        self.state().topics.get(&id).cloned()
    }

    fn shapes(&self) -> Vec<TopicShape> {
        let shape = |(id, name): (&Uuid, &String)| TopicShape { name: name.clone(), id: *id, partitions: 2 };
        self.state().topics.iter().map(shape).collect()
    }
}

struct Setup {
    fake: Arc<Fake>,
    clock: Clock,
    coordinator: Coordinator,
}

async fn open(fake: &Arc<Fake>, clock: &Clock, lost_wal: Option<Uuid>) -> Coordinator {
    let surroundings = Surroundings {
        journal: fake.clone(),
        topics: fake.clone(),
        clock: clock.clone(),
        random: Random::seeded(1),
        metrics: Metrics::new(),
        tasks: Tasks::current(),
    };
    let items = fake.state().journal.items.clone();
    let options = GroupOptions { max_groups: 3, ..GroupOptions::default() };
    let opening = Coordinator::open(items, lost_wal, options, surroundings);
    let syncing = async {
        loop {
            tokio::task::yield_now().await;
            fake.sync();
        }
    };
    tokio::select! {
        opened = opening => opened.unwrap(),
        () = syncing => unreachable!(),
    }
}

impl Setup {
    async fn new() -> Self {
        let (fake, clock) = (Arc::new(Fake::default()), Clock::manual(1_700_000_000_000));
        fake.state().topics.insert(TOPIC, "t".to_owned());
        let coordinator = open(&fake, &clock, None).await;
        Self { fake, clock, coordinator }
    }

    async fn restart(&mut self, lost_wal: Option<Uuid>) {
        self.coordinator = open(&self.fake, &self.clock, lost_wal).await;
    }

    async fn commit(&self, group: &str, offset: i64) -> Result<(), GroupError> {
        let commit = Commit { offset, ..Commit::default() };
        let committing = self.coordinator.commit(group, &MemberRef::default(), None, vec![(PLACE, commit)]);
        self.fake.sync();
        committing.await.map(|mut answers| answers.remove(0))?
    }

    fn offset(&self, group: &str) -> Option<i64> {
        self.coordinator.fetch(group, &[PLACE], false).remove(0).unwrap().map(|committed| committed.offset)
    }

    /// A stable group of one member; its id.
    async fn member(&self, group: &str) -> String {
        let join = JoinGroup {
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), bytes::Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t"))],
            ..JoinGroup::default()
        };
        let joining = self.coordinator.join(group, join);
        self.pass(3_000).await;
        self.pass(0).await;
        let joined = joining.await.unwrap();
        let member = MemberRef { id: joined.member_id.clone(), instance_id: None, generation: joined.generation };
        let sync = calls::SyncGroup { member, ..calls::SyncGroup::default() };
        let syncing = self.coordinator.sync(group, sync);
        self.fake.sync();
        syncing.await.unwrap();
        joined.member_id
    }

    async fn pass(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
        self.coordinator.0.shards.tick();
        self.fake.sync();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn nothing_is_seen_or_answered_before_it_is_durable() {
    let setup = Setup::new().await;
    let commit = |offset| vec![(PLACE, Commit { offset, ..Commit::default() })];
    let mut first = Box::pin(setup.coordinator.commit("g", &MemberRef::default(), None, commit(5)));
    let mut second = Box::pin(setup.coordinator.commit("g", &MemberRef::default(), None, commit(7)));
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(futures::poll!(first.as_mut()).is_pending() && futures::poll!(second.as_mut()).is_pending());
    assert_eq!(setup.offset("g"), None);
    setup.fake.sync();
    assert_eq!(second.await, Ok(vec![Ok(())]));
    assert_eq!(first.await, Ok(vec![Ok(())]));
    assert_eq!(setup.offset("g"), Some(7));
}

#[tokio::test]
async fn lags_are_shown_while_there_is_room_and_go_with_their_group() {
    let setup = Setup::new().await;
    for (group, offset) in [("c", 1), ("a", 40), ("b", 120)] {
        setup.commit(group, offset).await.unwrap();
    }
    let lags = |most| {
        let rows = setup.coordinator.0.lags(most);
        let lag = |(labels, lag): &(crate::base::metrics::Labels, i64)| (labels[0].1.clone(), *lag);
        (rows[0].rows.iter().map(lag).collect::<Vec<_>>(), rows[1].rows[0].1)
    };
    assert_eq!(lags(3), ([("a".to_owned(), 60), ("b".to_owned(), 0), ("c".to_owned(), 99)].to_vec(), 0));
    assert_eq!(lags(1), ([("a".to_owned(), 60)].to_vec(), 2));
    let (deleted, ()) = tokio::join!(setup.coordinator.delete("a"), async { setup.fake.sync() });
    assert_eq!(deleted, Ok(()));
    assert_eq!(lags(1), ([("b".to_owned(), 0)].to_vec(), 1));
}

#[tokio::test]
async fn a_full_journal_is_told_and_changes_nothing() {
    let setup = Setup::new().await;
    setup.commit("g", 5).await.unwrap();
    setup.fake.state().journal.is_full = true;
    let full = GroupError::NotAvailable("full".to_owned());
    assert_eq!(setup.commit("g", 6).await, Err(full.clone()));
    assert_eq!(setup.commit("other", 6).await, Err(full.clone()));
    assert_eq!(setup.coordinator.delete("g").await, Err(full));
    setup.fake.state().journal.is_full = false;
    assert_eq!((setup.offset("g"), setup.coordinator.list().len()), (Some(5), 1));
    setup.commit("g", 6).await.unwrap();
}

#[tokio::test]
async fn groups_are_counted_and_blank_ones_are_not_kept() {
    let setup = Setup::new().await;
    for group in ["a", "b", "c"] {
        setup.commit(group, 1).await.unwrap();
    }
    assert_eq!(setup.commit("d", 1).await, Err(GroupError::TooManyGroups(3)));
    assert_eq!(setup.commit("a", 2).await, Ok(()));
    let bad = JoinGroup { session_timeout_ms: 10_000, ..JoinGroup::default() };
    assert_eq!(setup.coordinator.join("d", bad.clone()).await.unwrap_err().error, GroupError::TooManyGroups(3));
    let deleting = setup.coordinator.delete("a");
    let (deleted, ()) = tokio::join!(deleting, async { setup.fake.sync() });
    assert_eq!(deleted, Ok(()));
    assert_eq!(setup.coordinator.join("d", bad).await.unwrap_err().error, GroupError::InconsistentProtocol);
    assert_eq!(setup.coordinator.list().len(), 2);
}

#[tokio::test]
async fn a_lost_disk_takes_members_once_and_leaves_offsets() {
    let mut setup = Setup::new().await;
    let first = setup.member("g").await;
    setup.commit("h", 5).await.unwrap();
    let alive = |id: &str, generation| MemberRef { id: id.to_owned(), instance_id: None, generation };
    setup.restart(None).await;
    assert_eq!(setup.coordinator.heartbeat("g", &alive(&first, 1)), Ok(()));
    let wal = Some(Uuid([9; 16]));
    setup.restart(wal).await;
    assert_eq!(setup.coordinator.heartbeat("g", &alive(&first, 1)), Err(GroupError::UnknownMember));
    assert_eq!((setup.offset("h"), setup.coordinator.describe("g").unwrap().state), (Some(5), "Empty"));
    let second = setup.member("g").await;
    setup.restart(wal).await;
    assert_eq!(setup.coordinator.heartbeat("g", &alive(&second, 3)), Ok(()), "the loss is known already");
}

#[tokio::test]
async fn unused_offsets_expire_and_groups_with_nothing_left_go() {
    let setup = Setup::new().await;
    let retention = 7 * 24 * 3600 * 1000;
    setup.commit("simple", 5).await.unwrap();
    let member = setup.member("g").await;
    let at = MemberRef { id: member.clone(), instance_id: None, generation: 1 };
    let committing = setup.coordinator.commit("g", &at, None, vec![(PLACE, Commit::default())]);
    setup.fake.sync();
    committing.await.unwrap();
    for _ in 0..(retention / 9_000) {
        setup.clock.advance(Duration::from_millis(9_000));
        setup.coordinator.heartbeat("g", &at).unwrap();
    }
    setup.clock.advance(Duration::from_millis(9_000));
    setup.coordinator.heartbeat("g", &at).unwrap();
    setup.coordinator.0.clean();
    setup.pass(1).await;
    let names = || setup.coordinator.list().into_iter().map(|listed| listed.group).collect::<Vec<_>>();
    assert_eq!(names(), ["g"], "a member reads the topic, so its offset stays");
    let leaving = [calls::Leaving { member_id: member, instance_id: None }];
    setup.coordinator.leave("g", &leaving).unwrap();
    setup.pass(u64::try_from(retention).unwrap() - 1).await;
    setup.coordinator.0.clean();
    setup.pass(0).await;
    assert_eq!((names(), setup.offset("g")), (vec!["g".to_owned()], Some(0)));
    setup.pass(1).await;
    setup.coordinator.0.clean();
    setup.pass(0).await;
    assert!(
        names().is_empty() && setup.fake.state().journal.items.is_empty(),
        "{:?}",
        setup.fake.state().journal.items
    );
}

#[tokio::test]
async fn transactions_of_several_groups_end_in_one_frame() {
    let mut setup = Setup::new().await;
    for group in ["a", "b"] {
        let offsets = vec![(PLACE, Commit { offset: 9, ..Commit::default() })];
        let committing = setup.coordinator.commit_in_transaction(group, &MemberRef::default(), 4, offsets);
        setup.fake.sync();
        committing.await.unwrap();
    }
    setup.restart(None).await;
    assert_eq!(setup.coordinator.fetch("a", &[PLACE], true), [Err(GroupError::UnstableOffset)]);
    let groups = ["a".to_owned(), "b".to_owned(), "none".to_owned()];
    let with = vec![("txn/t".to_owned(), Some(Json::of(&"ended")))];
    let put = |changes: Changes| setup.fake.put(changes.into_iter().chain(with).collect());
    let ending = setup.coordinator.end_transaction(4, groups.iter(), true, put).unwrap();
    assert_eq!(setup.fake.state().journal.waiting.len(), 1);
    assert_eq!(setup.offset("a"), None);
    setup.fake.sync();
    ending.await.unwrap().unwrap();
    assert_eq!((setup.offset("a"), setup.offset("b")), (Some(9), Some(9)));
    assert!(setup.fake.state().journal.items.contains_key("txn/t"));
    assert_eq!(setup.coordinator.fetch_all("a", true).len(), 1);
}

#[tokio::test]
async fn offsets_of_a_deleted_topic_go() {
    let mut setup = Setup::new().await;
    setup.commit("g", 5).await.unwrap();
    setup.coordinator.topic_deleted(TOPIC);
    setup.pass(0).await;
    assert!(setup.coordinator.list().is_empty() && setup.fake.state().journal.items.is_empty());
    setup.commit("g", 5).await.unwrap();
    setup.fake.state().topics.clear();
    setup.restart(None).await;
    setup.pass(0).await;
    assert!(setup.fake.state().journal.items.is_empty(), "also when the broker was not there to see it");
}

#[tokio::test]
async fn items_that_cannot_be_read_stop_the_start_by_name() {
    let setup = Setup::new().await;
    setup.fake.state().journal.items.insert("group/g".to_owned(), Json::of(&serde_json::json!({"type": "strange"})));
    let items = setup.fake.state().journal.items.clone();
    let surroundings = Surroundings {
        journal: setup.fake.clone(),
        topics: setup.fake.clone(),
        clock: setup.clock.clone(),
        random: Random::seeded(1),
        metrics: Metrics::new(),
        tasks: Tasks::current(),
    };
    let error = Coordinator::open(items, None, GroupOptions::default(), surroundings).await.unwrap_err();
    assert!(error.to_string().contains("'group/g'"), "{error}");
}
