//! What runs transactions, over a log that syncs when the test says so.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::entry::Status;
use super::minding::Pressing;
use super::recovery::Surroundings;
use super::*;
use crate::base::tasks::Tasks;
use crate::base::{Json, Random, Uuid};
use crate::coordinator::calls::MemberRef;
use crate::coordinator::consumer::catalog::{Catalog, TopicShape};
use crate::coordinator::items::{TXN_LOSS_KEY, TopicPartition};
use crate::coordinator::journal::{Journal, Topics};
use crate::coordinator::tests::journal::FakeJournal;
use crate::coordinator::{self, Commit, GroupOptions};
use crate::log::{TopicInfo, TransactionEnd};

const PLACE: TopicPartition = TopicPartition { topic: Uuid([1; 16]), partition: 0 };

#[derive(Default)]
struct State {
    journal: FakeJournal,
    ends: Vec<(TransactionEnd, Places)>,
    open: Vec<OpenIn>,
    pressing: Option<i64>,
    next_id: i64,
}

#[derive(Default)]
struct Fake(Mutex<State>);

impl Fake {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Catalog for Fake {
    fn version(&self) -> u64 {
        0
    }

    fn shape(&self, _: &str) -> Option<TopicShape> {
        None
    }

    fn name_of(&self, _: Uuid) -> Option<String> {
        None
    }

    fn shapes(&self) -> Vec<TopicShape> {
        Vec::new()
    }
}

impl Topics for Fake {
    fn topic(&self, id: Uuid) -> Option<Arc<TopicInfo>> {
        Some(Arc::new(TopicInfo { name: "t".to_owned(), id, partitions: 1, settings: BTreeMap::new() }))
    }

    fn records_from(&self, _: &str, _: i32, _: i64) -> Option<i64> {
        None
    }
}

impl TransactionLog for Fake {
    fn end(
        &self,
        end: TransactionEnd,
        places: &Places,
        changes: Changes,
    ) -> Result<oneshot::Receiver<()>, JournalError> {
        let durable = self.put(changes)?;
        let mut state = self.state();
        state.ends.push((end, places.clone()));
        state.open.retain(|open| open.producer.id != end.producer_id);
        Ok(durable)
    }

    fn new_producer_id(&self) -> i64 {
        let mut state = self.state();
        state.next_id += 1;
        state.next_id
    }

    fn open_transactions(&self) -> Vec<OpenIn> {
        self.state().open.clone()
    }

    fn pressing(&self) -> Option<i64> {
        self.state().pressing
    }
}

struct Setup {
    fake: Arc<Fake>,
    clock: Clock,
    groups: Coordinator,
    transactions: Transactions,
}

impl Setup {
    async fn new() -> Self {
        Self::over(Arc::new(Fake::default()), Clock::manual(1_000_000), None).await
    }

    async fn over(fake: Arc<Fake>, clock: Clock, lost: Option<Uuid>) -> Self {
        let tasks = Tasks::current();
        let ticking = fake.clone();
        let syncing = tokio::spawn(async move {
            loop {
                ticking.sync(); // an open waits for what it writes
                tokio::task::yield_now().await;
            }
        });
        let items = fake.state().journal.items.clone();
        let surroundings = coordinator::Surroundings {
            journal: fake.clone(),
            topics: fake.clone(),
            clock: clock.clone(),
            random: Random::seeded(1),
            metrics: Metrics::new(),
            tasks: tasks.clone(),
        };
        let groups = Coordinator::open(items.clone(), None, GroupOptions::default(), surroundings).await.unwrap();
        let surroundings = Surroundings {
            log: fake.clone(),
            groups: groups.clone(),
            clock: clock.clone(),
            metrics: Metrics::new(),
            tasks,
        };
        let options = TransactionOptions { max_ids: 2, ..TransactionOptions::default() };
        let transactions = Transactions::open(&items, lost, options, surroundings).await.unwrap();
        syncing.abort();
        Self { fake, clock, groups, transactions }
    }

    async fn restart(self, lost: Option<Uuid>) -> Self {
        self.fake.state().journal.waiting.clear();
        Self::over(self.fake, self.clock, lost).await
    }

    async fn synced<T>(&self, call: impl Future<Output = T>) -> T {
        self.fake.sync();
        call.await
    }

    async fn init(&self, name: &str) -> Identity {
        self.synced(self.transactions.init(name, 60_000, None)).await.unwrap()
    }

    /// A producer with a transaction open in the one partition, and an offset of group `g` in it.
    async fn open(&self, name: &str) -> Identity {
        let producer = self.init(name).await;
        self.transactions.write(name, producer, TV2, &[PLACE], |_| ()).unwrap();
        let offsets = vec![(PLACE, Commit { offset: 7, ..Commit::default() })];
        let committed = self.transactions.commit_offsets(name, producer, TV2, ("g", &MemberRef::default()), offsets);
        self.synced(committed).await.unwrap().unwrap();
        self.fake.state().open.push(OpenIn { place: PLACE, producer });
        producer
    }

    fn status(&self, name: &str) -> &'static str {
        self.transactions.describe(name).map_or("none", |described| described.state)
    }

    fn look(&self, times: usize) {
        let mut pressing = Pressing::default();
        (0..times).for_each(|_| self.transactions.0.look(&mut pressing));
    }

    fn offset(&self) -> Option<i64> {
        self.groups.fetch("g", &[PLACE], false)[0].clone().unwrap().map(|committed| committed.offset)
    }
}

fn commit(producer: Identity) -> EndCall {
    EndCall { producer, outcome: Outcome::Committed, version: TV2 }
}

#[tokio::test]
async fn nothing_is_answered_before_it_is_durable_and_an_end_under_way_has_others_try_again() {
    let setup = Setup::new().await;
    let producer = setup.open("x").await;
    let mut ending = Box::pin(setup.transactions.end("x", commit(producer)));
    assert!(futures::poll!(&mut ending).is_pending());
    assert_eq!(setup.status("x"), "PrepareCommit");
    assert_eq!(setup.transactions.init("x", 1000, None).await, Err(TxnError::Concurrent));
    assert_eq!(setup.transactions.end("x", commit(producer)).await, Err(TxnError::Concurrent));
    assert_eq!(setup.offset(), None);
    let next = Identity { epoch: producer.epoch + 1, ..producer };
    assert_eq!(setup.synced(ending).await, Ok(next));
    assert_eq!((setup.status("x"), setup.offset()), ("CompleteCommit", Some(7)));
    let (end, places) = setup.fake.state().ends[0].clone();
    assert_eq!((end.producer_epoch, places), (1, Places::from([(PLACE.topic, BTreeSet::from([0]))])));
    let item = setup.fake.state().journal.items["txn/x"].clone();
    assert_eq!(item.read::<Entry>().unwrap().status, Status::Committed);
}

#[tokio::test]
async fn what_the_log_refuses_has_not_happened() {
    let setup = Setup::new().await;
    let producer = setup.open("x").await;
    setup.fake.state().journal.is_full = true;
    let busy = TxnError::NotAvailable("full".to_owned());
    assert_eq!(setup.transactions.end("x", commit(producer)).await, Err(busy.clone()));
    assert_eq!(setup.transactions.init("x", 1000, None).await, Err(busy.clone()));
    assert_eq!(setup.transactions.init("y", 1000, None).await, Err(busy.clone()));
    let place = TopicPartition { partition: 1, ..PLACE };
    assert_eq!(setup.transactions.write("x", producer, TV2, &[place], |_| ()), Err(busy));
    setup.look(1);
    setup.fake.state().journal.is_full = false;
    assert_eq!((setup.status("x"), setup.status("y")), ("Ongoing", "none"));
    setup.synced(setup.transactions.end("x", commit(producer))).await.unwrap();
    assert_eq!(setup.fake.state().ends[0].1.values().map(BTreeSet::len).sum::<usize>(), 1, "one partition");
}

#[tokio::test]
async fn a_transaction_that_is_open_for_too_long_is_aborted_and_its_producer_fenced() {
    let setup = Setup::new().await;
    let producer = setup.open("x").await;
    setup.clock.advance(Duration::from_millis(59_999));
    setup.look(1);
    assert_eq!(setup.status("x"), "Ongoing");
    setup.clock.advance(Duration::from_millis(1));
    setup.look(2);
    assert_eq!(setup.status("x"), "PrepareAbort");
    setup.fake.sync();
    tokio::task::yield_now().await;
    let written = setup.transactions.write("x", producer, TV2, &[PLACE], |_| ());
    assert_eq!(written, Err(TxnError::Fenced { got: 0, current: 1 }));
    let refused = setup.transactions.end("x", commit(producer)).await;
    assert!(matches!(refused, Err(TxnError::InvalidState(_))), "{refused:?}");
    assert_eq!((setup.fake.state().ends.len(), setup.offset()), (1, None));
}

#[tokio::test]
async fn ids_that_nobody_uses_expire_and_come_back_as_new_ones() {
    let setup = Setup::new().await;
    let producer = setup.init("x").await;
    setup.open("y").await;
    setup.clock.advance(Duration::from_secs(7 * 24 * 3600));
    setup.transactions.0.expire();
    setup.fake.sync();
    assert_eq!((setup.status("x"), setup.status("y")), ("none", "Ongoing"));
    assert!(!setup.fake.state().journal.items.contains_key("txn/x"));
    assert_eq!(setup.transactions.write("x", producer, TV2, &[PLACE], |_| ()), Err(TxnError::UnknownProducerId));
    let again = setup.synced(setup.transactions.init("x", 1000, Some(producer))).await.unwrap();
    assert_ne!(again.id, producer.id);
    assert_eq!(setup.transactions.init("z", 1000, None).await, Err(TxnError::TooMany(2)));
}

#[tokio::test]
async fn a_transaction_that_keeps_the_wal_from_going_on_is_aborted_when_that_lasts() {
    let setup = Setup::new().await;
    let producer = setup.open("x").await;
    setup.fake.state().pressing = Some(producer.id);
    setup.look(4);
    assert_eq!(setup.status("x"), "Ongoing");
    setup.look(5);
    assert_eq!(setup.status("x"), "PrepareAbort");
    let stranger = Identity { id: 99, epoch: 3 };
    setup.fake.state().open = vec![OpenIn { place: PLACE, producer: stranger }];
    setup.fake.state().pressing = Some(stranger.id);
    setup.look(5);
    let (end, _) = setup.fake.state().ends.last().cloned().unwrap();
    assert_eq!((end.producer_id, end.producer_epoch, end.outcome), (99, 3, Outcome::Aborted));
}

#[tokio::test]
async fn a_start_goes_on_with_what_is_open_and_aborts_what_nobody_knows() {
    let setup = Setup::new().await;
    let producer = setup.open("x").await;
    setup.fake.state().open.push(OpenIn { place: PLACE, producer: Identity { id: 99, epoch: 3 } });
    let unknown = coordinator::items::pending_key("h", 98, PLACE);
    setup.fake.state().journal.items.insert(unknown.clone(), Json::of(&(5, -1, "", 1)));
    let setup = setup.restart(None).await;
    assert_eq!(setup.status("x"), "Ongoing");
    let ends: Vec<_> = setup.fake.state().ends.iter().map(|(end, _)| end.producer_id).collect();
    assert_eq!(ends, [99]);
    assert!(!setup.fake.state().journal.items.contains_key(&unknown));
    setup.synced(setup.transactions.end("x", commit(producer))).await.unwrap();
    assert_eq!(setup.offset(), Some(7));
    setup.clock.advance(Duration::from_secs(3600));
    setup.look(1);
    assert_eq!(setup.status("x"), "CompleteCommit");
}

#[tokio::test]
async fn after_a_lost_wal_all_ids_are_forgotten_once_and_what_was_open_is_aborted() {
    let setup = Setup::new().await;
    let producer = setup.open("x").await;
    let lost = Some(Uuid([9; 16]));
    let setup = setup.restart(lost).await;
    assert_eq!((setup.status("x"), setup.offset()), ("none", None));
    assert!(setup.fake.state().journal.items.keys().all(|key| key == TXN_LOSS_KEY || key.starts_with("group/")));
    assert_eq!(setup.fake.state().ends.len(), 1);
    assert_eq!(setup.transactions.end("x", commit(producer)).await, Err(TxnError::UnknownProducerId));
    let again = setup.synced(setup.transactions.init("x", 1000, Some(producer))).await.unwrap();
    assert_ne!(again.id, producer.id);
    let setup = setup.restart(lost).await;
    assert_eq!(setup.transactions.describe("x").unwrap().entry.producer_id, again.id, "only once");
}
