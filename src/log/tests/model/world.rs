//! The world of the model: a broker with its disk, its bucket and its clock, and what was promised to its clients.
use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::truth::{Sent, Truth, Value};
use crate::base::Json;
use crate::record::{BatchHeader, EndMarker, Outcome, split};
use crate::store::testing::{Faulty, Weather, store_on_clock};
use crate::wal::fs::FaultyFs;
use store::Sky;

mod clients;
mod disk;
mod judge;
mod lives;
mod store;
mod topics;
mod transactions;

/// How a life of the broker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Clean,
    Killed,
    PowerCut,
    DiskLost,
}

/// A partition, by the name of its topic and its number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(String, i32);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// A producer in one partition.
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
    places: BTreeMap<Place, i32>,
}

pub struct World {
    random: Random,
    clock: Clock,
    bucket: Faulty,
    client: Faulty,
    sky: Sky,
    fs: FaultyFs,
    log: Option<Log>,
    truths: BTreeMap<Place, Truth>,
    /// Topics whose creation, deletion or growth was asked for and not answered.
    doubtful: BTreeSet<String>,
    state: BTreeMap<String, u64>,
    /// Values of items that were sent and not answered.
    state_maybe: Vec<(String, u64)>,
    producers: BTreeMap<(i64, Place), Sequence>,
    open: Vec<Transaction>,
    values: u64,
    names: u64,
    trace: Vec<String>,
    happened: BTreeSet<&'static str>,
}

const FILE_BYTES: u64 = 64 << 10;
const BEGIN_MS: i64 = 1_700_000_000_000;

impl World {
    pub async fn new(seed: u64) -> Self {
        let clock = Clock::of_runtime(BEGIN_MS);
        let bucket = Faulty::on_clock(&clock);
        let mut world = Self {
            random: Random::seeded(seed),
            client: bucket.client(),
            clock,
            bucket,
            sky: Sky::Clear,
            fs: FaultyFs::new(),
            log: None,
            truths: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            state: BTreeMap::new(),
            state_maybe: Vec::new(),
            producers: BTreeMap::new(),
            open: Vec::new(),
            values: 0,
            names: 0,
            trace: Vec::new(),
            happened: BTreeSet::new(),
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

    /// What happened in this case that does not happen in all of them.
    pub fn happened(&self) -> &BTreeSet<&'static str> {
        &self.happened
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
        options.wal.file_bytes = FILE_BYTES;
        options.wal.budget_bytes = Some(8 * FILE_BYTES);
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

    fn partition(&self, place: &Place) -> Option<Partition> {
        self.log().partition(&place.0, place.1)
    }

    fn any_place(&self) -> Option<(Place, Partition)> {
        let at = usize::try_from(self.below(self.truths.len().max(1) as u64)).unwrap();
        let place = self.truths.keys().nth(at)?.clone();
        let partition = self.partition(&place)?;
        Some((place, partition))
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

    pub async fn pass(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    pub async fn jump(&mut self) {
        self.note("the clock jumps by 25 hours".to_owned());
        let now = self.clock.now_ms() - BEGIN_MS - i64::try_from(self.clock.elapsed().as_millis()).unwrap();
        self.clock.set_wall_by(now + 25 * 3_600_000);
        // Producers that are silent for a day are forgotten, as Kafka forgets them.
        self.producers.values_mut().for_each(|sequence| sequence.newest = None);
    }
}
