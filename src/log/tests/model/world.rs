//! The world of the model: a broker with its disk, its bucket and its clock, and what was promised to its clients.
use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::truth::{Policy, Sent, Truth, Value};
use crate::base::Json;
use crate::record::{BatchHeader, EndMarker, Outcome, split};
use crate::store::testing::{Faulty, Weather, store_on_clock};
use crate::wal::WalOptions;
use crate::wal::fs::FaultyFs;
use damage::Damage;
use store::Sky;

mod clients;
mod damage;
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
#[derive(Clone, Debug)]
struct Sequence {
    epoch: i16,
    /// Below 0: nobody knows.
    next: i32,
    /// Its newest batch, and the offset of that.
    newest: Option<(Vec<Sent>, i64)>,
}

#[derive(Clone, Debug)]
struct Transaction {
    number: u64,
    producer_id: i64,
    epoch: i16,
    places: BTreeMap<Place, i32>,
}

pub struct World {
    random: Random,
    clock: Clock,
    bucket: Faulty,
    client: Faulty,
    sky: Sky,
    fs: FaultyFs,
    /// The disk has room for no more than is on it.
    is_full: bool,
    damaged: Option<Damage>,
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
            is_full: false,
            damaged: None,
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
        for topic in topics::NAMES {
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

    fn wal_options(&self) -> WalOptions {
        WalOptions {
            dir: "/disk/wal".into(),
            file_bytes: FILE_BYTES,
            budget_bytes: Some(8 * FILE_BYTES),
            group_max_bytes: 16 << 10,
            ..WalOptions::default()
        }
    }

    async fn opened(&mut self, take_over: bool) -> Result<Log, OpenError> {
        self.client = self.bucket.client();
        let mut options = Options::new("/disk");
        options.take_over = take_over;
        options.wal = self.wal_options();
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
        let place = self.truths.keys().nth(at).filter(|place| !self.is_damaged(place))?.clone();
        let partition = self.partition(&place)?;
        Some((place, partition))
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
        self.happened.insert("clock jumped");
        let now = self.clock.now_ms() - BEGIN_MS - i64::try_from(self.clock.elapsed().as_millis()).unwrap();
        self.clock.set_wall_by(now + 25 * 3_600_000);
        // Producers that are silent for a day are forgotten, as Kafka forgets them.
        self.producers.values_mut().for_each(|sequence| sequence.newest = None);
    }
}
