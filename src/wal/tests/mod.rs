//! Tests of the running WAL and of what it leaves, on the faulting file system unless they say otherwise.
mod condensing;
mod damage;
mod failing;
mod fixture;
mod limits;
mod model;
mod patience;
mod power;
mod reading;
mod together;
mod unreadable;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::fs::{FaultyFs, FileSystem};
use super::*;
use crate::base::{Clock, Metrics, Random};

/// Small files, so that every test rolls.
const FILE: u64 = 64 << 10;

fn options() -> WalOptions {
    WalOptions {
        dir: PathBuf::from("/wal"),
        budget_bytes: Some(16 * FILE),
        file_bytes: FILE,
        group_max_bytes: 16 << 10,
        tail_bytes: 32 << 10,
        successor_ms: 3_600_000,
        ..WalOptions::default()
    }
}

fn identity() -> Identity {
    Identity { cluster_id: Uuid([1; 16]), broker_id: 7, wal_id: Uuid([9; 16]), born: 1, epoch: 1 }
}

/// Collects what is acknowledged.
#[derive(Default)]
struct Acks {
    done: Mutex<Vec<Done>>,
    told: Condvar,
}

impl Durable for Acks {
    fn durable(&self, done: &[Done]) {
        self.done.lock().unwrap().extend_from_slice(done);
        self.told.notify_all();
    }
}

impl Acks {
    /// Waits until `count` frames are acknowledged or `give_up` says so.
    fn wait(&self, count: usize, give_up: impl Fn() -> bool) -> bool {
        let mut done = self.done.lock().unwrap();
        while done.len() < count {
            if give_up() {
                return false;
            }
            done = self.told.wait_timeout(done, Duration::from_millis(2)).unwrap().0;
        }
        true
    }

    fn all(&self) -> Vec<Done> {
        self.done.lock().unwrap().clone()
    }

    fn last(&self) -> Done {
        *self.done.lock().unwrap().last().unwrap()
    }
}

/// Holds up the WAL's thread until it is opened, so that what is appended meanwhile is one group.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    reached: bool,
    open: bool,
}

impl Gate {
    fn wait_until_reached(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |gate| !gate.reached).unwrap());
    }

    fn open(&self) {
        self.0.0.lock().unwrap().open = true;
        self.0.1.notify_all();
    }
}

impl Durable for Gate {
    fn durable(&self, _done: &[Done]) {
        let mut gate = self.0.0.lock().unwrap();
        gate.reached = true;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(gate, |gate| !gate.open).unwrap());
    }
}

/// A WAL under test and all that it was given.
struct World {
    wal: Wal,
    acks: Arc<Acks>,
    fatal: Arc<Mutex<Vec<WalError>>>,
    metrics: Metrics,
}

fn surroundings(fs: Arc<dyn FileSystem>) -> (Surroundings, Arc<Mutex<Vec<WalError>>>) {
    let fatal = Arc::new(Mutex::new(Vec::new()));
    let note = fatal.clone();
    let on_fatal = Arc::new(move |error| note.lock().unwrap().push(error));
    let (clock, random) = (Clock::real(), Random::seeded(5));
    (Surroundings { fs, clock, drive: Drive::Threads, random, metrics: Metrics::new(), on_fatal }, fatal)
}

impl World {
    fn open(fs: &FaultyFs, options: &WalOptions) -> Result<Self, WalError> {
        Self::open_on(Arc::new(fs.clone()), options)
    }

    fn open_on(fs: Arc<dyn FileSystem>, options: &WalOptions) -> Result<Self, WalError> {
        let recovered = recover(fs.clone(), options, &mut |_| {})?;
        let (around, fatal) = surroundings(fs);
        let wal = Wal::start(recovered, identity(), options, &around)?;
        let metrics = around.metrics.clone();
        Ok(Self { wal, acks: Arc::default(), fatal, metrics })
    }

    fn append(&self, partition: i32, token: u64, len: usize) -> Result<(), WalError> {
        self.wal.append(self.frame(partition, token, len, false))
    }

    fn frame(&self, partition: i32, token: u64, len: usize, urgent: bool) -> Append {
        Append {
            meta: meta(partition, token),
            head: None,
            body: body(token, len),
            urgent,
            patient: false,
            permit: None,
            sink: self.acks.clone(),
            token,
        }
    }

    /// Appends and waits for the acknowledgement; `false` if none will come.
    fn put(&self, partition: i32, token: u64, len: usize) -> bool {
        let before = self.acks.done.lock().unwrap().len();
        self.append(partition, token, len).is_ok()
            && self.acks.wait(before + 1, || !self.fatal.lock().unwrap().is_empty())
    }

    /// Waits until `group` counts as durable, a moment after its sinks were told, and gives the group that is reached.
    fn wait_durable(&self, group: u64) -> u64 {
        while self.wal.durable_group() < group {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.wal.durable_group()
    }

    /// Waits until the maker of files has nothing to do, so that the next operation is the writer's.
    fn spare_is_ready(&self) {
        while self.wal.space().used < 2 * FILE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn read(&self, done: &Done) -> Result<Vec<u8>, WalError> {
        Ok(self.wal.read(&[done.position], false)?.concat())
    }
}

fn meta(partition: i32, token: u64) -> FrameMeta {
    let offset = token as i64;
    FrameMeta {
        kind: FrameKind::BATCH,
        topic_id: Uuid([4; 16]),
        partition,
        epoch: 1,
        base_offset: offset,
        last_offset: offset,
        records: 1,
        max_timestamp: 5,
        append_time: 6,
    }
}

/// Bytes that tell which frame they belong to.
fn body(token: u64, len: usize) -> Bytes {
    let random = Random::seeded(token);
    (0..len.div_ceil(8)).flat_map(|_| random.bytes::<8>()).take(len).collect::<Vec<_>>().into()
}

/// What a recovery of an image finds.
struct Image {
    recovered: Recovered,
    /// By token: position and payload, `None` where it is damaged.
    frames: BTreeMap<u64, (Position, Option<Vec<u8>>)>,
}

fn image(fs: &FaultyFs, options: &WalOptions) -> Result<Image, WalError> {
    look(fs, options, recover)
}

type Opener = fn(Arc<dyn FileSystem>, &WalOptions, &mut dyn FnMut(Visit<'_>)) -> Result<Recovered, WalError>;

fn look(fs: &FaultyFs, options: &WalOptions, open: Opener) -> Result<Image, WalError> {
    let mut frames = BTreeMap::new();
    let mut group = 0;
    let recovered = open(Arc::new(fs.clone()), options, &mut |visit| {
        assert!(visit.position.group >= group, "groups come in order");
        group = visit.position.group;
        let token = visit.meta.base_offset as u64;
        let twice = frames.insert(token, (visit.position, visit.payload.ok().map(<[u8]>::to_vec)));
        assert!(twice.is_none(), "frame {token} came twice");
    })?;
    Ok(Image { recovered, frames })
}

impl Image {
    /// Whether a frame is there with its bytes.
    fn has(&self, done: &Done, len: usize) -> bool {
        self.frames.get(&done.token) == Some(&(done.position, Some(body(done.token, len).to_vec())))
    }
}

fn file_path(number: u64) -> PathBuf {
    names::wal(Path::new("/wal"), number)
}
