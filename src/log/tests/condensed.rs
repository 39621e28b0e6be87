//! A WAL of which files were condensed: the same records, transactions and producers, in this life and after a restart.
use super::*;
use crate::base::Json;
use crate::log::mover::condensable;
use crate::record::Outcome;

/// Two topics in a WAL of small files. An open transaction of `b` keeps R in file 2; what `a` has there is sealed.
struct World {
    place: Place,
    options: Options,
    log: Log,
}

impl World {
    async fn new(topics: &[&str]) -> Self {
        let place = Place::new();
        let options = place.with_small_files(64);
        let log = Log::open(options.clone(), place.env()).await.unwrap();
        for topic in topics {
            log.create_topic(new_topic(topic)).await.unwrap();
        }
        Self { place, options, log }
    }

    fn partition(&self, topic: &str) -> Partition {
        self.log.partition(topic, 0).unwrap()
    }

    /// Fills until the WAL writes to another file.
    async fn next_file(&self, topic: &str) {
        let file = || self.log.0.core.wal.space().files.last().unwrap().file;
        let before = file();
        while file() == before {
            append(&self.log, topic, &[(1, &"x".repeat(9000))]).await;
        }
    }

    /// Condenses the oldest file that is pinned and whole, as the mover does under pressure.
    async fn condense(&self) {
        let file = condensable(&self.log.0.core.wal.space())[0];
        self.log.0.mover.condense(vec![file]).await;
        let files = self.log.0.core.wal.space().files;
        assert!(files.iter().any(|f| f.file == file && f.kept), "{files:?}");
    }

    async fn restarted(self) -> (Place, Log) {
        super::state::kill(self.log).await;
        let log = reopened_with(self.options, &self.place).await.unwrap();
        (self.place, log)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_gets_every_record_whatever_was_condensed_before_and_after_a_restart() {
    let world = World::new(&["a", "b"]).await;
    let a = world.partition("a");
    a.append(idempotent(5, 0, "0"), None).unwrap().durable().await.unwrap();
    world.next_file("b").await;
    world.partition("b").append_transactional(part(99, 0, "pins"), None).unwrap().durable().await.unwrap();
    for sequence in 1..=5 {
        a.append(idempotent(5, sequence, &sequence.to_string()), None).unwrap().durable().await.unwrap();
    }
    world.log.seal(None).await.unwrap();
    world.next_file("b").await;
    a.append(idempotent(5, 6, "6"), None).unwrap().durable().await.unwrap();
    world.next_file("b").await;
    world.condense().await;
    let expected: Vec<(i64, String)> = (0..7).map(|n| (n, n.to_string())).collect();
    for from in 0..7 {
        let read = a.read(from, 1 << 20, true, Isolation::ReadUncommitted).await.unwrap();
        assert!(!read.batches.is_empty(), "at {from}, in the same life");
    }
    assert_eq!(read_all(&a, 0).await, expected);
    drop(a);
    let (_place, log) = world.restarted().await;
    let a = log.partition("a", 0).unwrap();
    assert_eq!(read_all(&a, 0).await, expected);
    let repeated = a.append(idempotent(5, 4, "again"), None).unwrap().durable().await.unwrap();
    assert_eq!(repeated.base_offset, 4);
    assert_eq!(a.append(idempotent(5, 7, "next"), None).unwrap().durable().await.unwrap().base_offset, 7);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_whose_sealed_frames_were_condensed_away_is_still_the_owners() {
    let world = World::new(&["a", "b", "c"]).await;
    append(&world.log, "a", &[(1, "file 1")]).await;
    world.next_file("c").await;
    world.partition("b").append_transactional(part(99, 0, "pins"), None).unwrap().durable().await.unwrap();
    world.log.seal(None).await.unwrap();
    for value in ["file 2, a", "file 2, b"] {
        append(&world.log, "a", &[(1, value)]).await;
    }
    world.log.seal(None).await.unwrap();
    world.next_file("c").await;
    world.next_file("c").await;
    world.log.seal(Some("c")).await.unwrap();
    world.condense().await;
    let (_place, log) = world.restarted().await;
    let a = log.partition("a", 0).unwrap();
    assert_eq!(read_all(&a, 0).await.len(), 3);
    assert_eq!(append(&log, "a", &[(1, "next")]).await.base_offset, 3);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_whose_marker_was_condensed_away_stays_committed() {
    let world = World::new(&["a", "b", "c"]).await;
    let a = world.partition("a");
    a.append_transactional(part(77, 0, "in a transaction"), None).unwrap().durable().await.unwrap();
    world.next_file("c").await;
    world.partition("b").append_transactional(part(99, 0, "pins"), None).unwrap().durable().await.unwrap();
    let end = TransactionEnd { producer_id: 77, producer_epoch: 0, outcome: Outcome::Committed };
    let done = vec![("txn/t".to_owned(), Some(Json::of(&"done")))];
    world.log.end_transaction(end, vec![a.clone()], done).unwrap().durable().await.unwrap();
    append(&world.log, "a", &[(1, "behind it")]).await;
    world.log.seal(None).await.unwrap();
    world.next_file("c").await;
    append(&world.log, "a", &[(1, "file 3")]).await;
    world.next_file("c").await;
    world.log.seal(Some("c")).await.unwrap();
    world.condense().await;
    drop(a);
    let (_place, log) = world.restarted().await;
    let a = log.partition("a", 0).unwrap();
    assert_eq!(a.open_transactions(), []);
    assert_eq!(a.ends().last_stable, a.ends().high_watermark);
    log.seal(Some("a")).await.unwrap();
    let sealed_end = a.state().sealed_end;
    assert_eq!(sealed_end, a.ends().high_watermark);
    log.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_which_much_is_needed_does_not_keep_others_from_being_condensed() {
    let world = World::new(&["a", "b"]).await;
    // The oldest file is full of what cannot be sealed: a transaction that is open.
    let stuck = world.partition("b");
    for sequence in 0..6 {
        stuck.append_transactional(part(99, sequence, &"x".repeat(9000)), None).unwrap().durable().await.unwrap();
    }
    world.next_file("a").await;
    world.next_file("a").await;
    world.next_file("a").await;
    world.log.seal(None).await.unwrap();
    let files = condensable(&world.log.0.core.wal.space());
    world.log.0.mover.condense(files.clone()).await;
    let now = world.log.0.core.wal.space().files;
    let kept: Vec<u64> = now.iter().filter(|f| f.kept).map(|f| f.file).collect();
    assert_eq!(kept, [files[1]], "{now:?}");
    super::state::kill(world.log).await;
}

/// What is in memory hides that a file was condensed, so here there is more than fits.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_what_was_condensed_away_is_sent_to_the_bucket_while_older_files_are_there() {
    let place = Place::new();
    let mut options = place.options();
    options.wal.budget_bytes = Some(64 << 20);
    let env = Env { limits: Limits::new(128 << 20), ..place.env() };
    let log = Log::open(options.clone(), env).await.unwrap();
    for topic in ["a", "b", "c"] {
        log.create_topic(new_topic(topic)).await.unwrap();
    }
    let big = "x".repeat(200_000);
    append(&log, "a", &[(1, "file 1")]).await;
    let file = || log.0.core.wal.space().files.last().unwrap().file;
    let before = file();
    while file() == before {
        append(&log, "c", &[(1, &big)]).await;
    }
    let pins = log.partition("b", 0).unwrap();
    pins.append_transactional(part(99, 0, "pins"), None).unwrap().durable().await.unwrap();
    for value in ["1", "2", "3"] {
        append(&log, "a", &[(1, value)]).await;
    }
    log.seal(None).await.unwrap();
    for _ in 0..60 {
        append(&log, "c", &[(1, &big)]).await;
    }
    log.seal(Some("c")).await.unwrap();
    let oldest = condensable(&log.0.core.wal.space())[0];
    log.0.mover.condense(vec![oldest]).await;
    let files = log.0.core.wal.space().files;
    assert!(files.iter().any(|f| f.file == oldest && f.kept) && files[0].file < oldest, "{files:?}");
    let a = log.partition("a", 0).unwrap();
    for from in 0..4 {
        let read = a.read(from, 1 << 20, true, Isolation::ReadUncommitted).await.unwrap();
        assert!(!read.batches.is_empty(), "nothing at {from}");
    }
    assert_eq!(read_all(&a, 0).await.len(), 4);
    drop(a);
    super::state::kill(log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_state_that_a_later_one_repeats_is_not_kept() {
    let world = World::new(&["a"]).await;
    let put = async |key: &str, value: &str| {
        let changes = vec![(key.to_owned(), Some(Json::of(&value)))];
        world.log.append_state(changes).unwrap().durable().await.unwrap();
    };
    world.partition("a").append_transactional(part(99, 0, "pins"), None).unwrap().durable().await.unwrap();
    let file = world.log.0.core.wal.space().files.last().unwrap().file;
    let long = "x".repeat(9000);
    put("offset/only", "here").await;
    while world.log.0.core.wal.space().files.last().unwrap().file == file {
        put("offset/often", &long).await;
    }
    world.next_file("a").await;
    put("offset/often", "the last").await;
    world.log.0.mover.condense(vec![file]).await;
    let files = world.log.0.core.wal.space().files;
    let condensed = files.iter().find(|f| f.file == file).unwrap();
    assert!(condensed.kept, "all but a few frames of it have later values: {files:?}");
    let (_place, log) = world.restarted().await;
    let items = log.state_items();
    assert_eq!((&items["offset/only"], &items["offset/often"]), (&Json::of(&"here"), &Json::of(&"the last")));
    log.stop().await;
}
