//! What moves the WAL's two machines on: the writer, and the maker of files. A machine never waits; each of its steps says
//! what it waits for, and whoever drives it sees to that.
//!
//! The product gives each a thread, which parks in between: a wake-up is a token, so none is lost, and no lock is taken for
//! it. In one thread with everything else they are tasks, and [`super::Wal::close`] takes the last steps itself.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use tokio::sync::Notify;

use super::WalError;
use super::engine::Shared;
use crate::base::Clock;
use crate::base::tasks::Tasks;

/// How a WAL is moved on.
#[derive(Clone, Debug, Default)]
pub enum Drive {
    /// By threads of its own.
    #[default]
    Threads,
    /// By tasks of a runtime in one thread.
    Tasks(Tasks),
}

impl Drive {
    /// As the other tasks of the process run.
    pub fn like(tasks: &Tasks) -> Self {
        if tasks.are_in_one_thread() { Self::Tasks(tasks.clone()) } else { Self::Threads }
    }

    /// The time by which machines wait: that of whoever wakes them.
    pub(crate) fn timer(&self) -> Clock {
        match self {
            Self::Threads => Clock::real(),
            Self::Tasks(_) => Clock::of_runtime(0),
        }
    }

    /// Gives other threads a moment. Without others there is nothing to wait for.
    pub(crate) fn pause(&self, pause: Duration) {
        if matches!(self, Self::Threads) {
            thread::sleep(pause);
        }
    }
}

/// What a machine waits for after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// For nothing.
    Again,
    /// To be woken, or until this time.
    Wait(Option<Duration>),
    /// It has come to its end.
    Done,
}

/// Something that goes on in steps.
pub(crate) trait Machine: Send {
    /// Does what can be done now. An error is the end of the WAL.
    fn step(&mut self) -> Result<Step, WalError>;
    /// It will take no further step.
    fn ended(&mut self);
}

/// Wakes the one machine that it belongs to; does nothing while nobody drives it yet.
#[derive(Debug, Default)]
pub(crate) struct Signal(OnceLock<Waker>);

impl Signal {
    /// The machine takes a step soon, also if it is in the middle of one now.
    pub fn wake(&self) {
        if let Some(waker) = self.0.get() {
            waker.wake_by_ref();
        }
    }

    /// From now on `waker` is what wakes.
    pub fn wakes(&self, waker: Waker) {
        let _ = self.0.set(waker);
    }
}

/// A machine that is stepped by one driver at a time, and whose failure, or panic, is the end of the WAL.
pub(crate) struct Driven {
    machine: Option<Box<dyn Machine>>,
    shared: Arc<Shared>,
}

impl Driven {
    pub fn new(machine: Box<dyn Machine>, shared: &Arc<Shared>) -> Self {
        Self { machine: Some(machine), shared: shared.clone() }
    }

    fn step(&mut self) -> Step {
        let Some(machine) = &mut self.machine else { return Step::Done };
        let stepped = catch_unwind(AssertUnwindSafe(|| machine.step()));
        let step = match stepped.unwrap_or_else(|panic| Err(of_panic(&*panic))) {
            Ok(step) => step,
            Err(error) => {
                self.shared.fail(&error);
                Step::Done
            }
        };
        if step == Step::Done {
            machine.ended();
            self.machine = None;
        }
        step
    }
}

/// What a panic left behind is as little known as what a failed sync did.
fn of_panic(panic: &(dyn std::any::Any + Send)) -> WalError {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    WalError::Failed(format!("a thread of the WAL panicked: {}", text.unwrap_or("without a word")))
}

/// The machines of a running WAL.
pub(crate) enum Running {
    Threads(Vec<JoinHandle<()>>),
    Tasks(Vec<Arc<Mutex<Driven>>>),
}

/// A machine, what wakes it, its name, and what its thread does first.
pub(crate) type Part<'a> = (Driven, &'a Signal, &'static str, fn());

impl Running {
    /// Sets the machines going.
    pub fn start(drive: &Drive, timer: &Clock, parts: Vec<Part<'_>>) -> std::io::Result<Self> {
        match drive {
            Drive::Threads => {
                let threads = parts.into_iter().map(|part| in_thread(timer.clone(), part));
                Ok(Self::Threads(threads.collect::<Result<_, _>>()?))
            }
            Drive::Tasks(tasks) => {
                let as_task = |(driven, signal, ..): Part<'_>| {
                    let driven = Arc::new(Mutex::new(driven));
                    let woken = Arc::new(Woken(Notify::new()));
                    signal.wakes(woken.clone().into());
                    tasks.hot.spawn(drive_task(driven.clone(), timer.clone(), woken));
                    driven
                };
                Ok(Self::Tasks(parts.into_iter().map(as_task).collect()))
            }
        }
    }

    /// Comes back when all machines have ended, as they were told to.
    pub fn join(self) -> Result<(), WalError> {
        match self {
            Self::Threads(threads) => {
                for thread in threads {
                    thread.join().map_err(|panic| of_panic(&*panic))?;
                }
            }
            Self::Tasks(machines) => {
                let mut idle = 0;
                while idle < 4 {
                    let steps: Vec<Step> = machines.iter().map(|driven| lock(driven).step()).collect();
                    if steps.iter().all(|step| *step == Step::Done) {
                        return Ok(());
                    }
                    idle = if steps.contains(&Step::Again) { 0 } else { idle + 1 };
                }
                return Err(WalError::Failed("it waits for itself".to_owned()));
            }
        }
        Ok(())
    }
}

fn lock(driven: &Mutex<Driven>) -> MutexGuard<'_, Driven> {
    driven.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

fn in_thread(timer: Clock, (mut driven, signal, name, first): Part<'_>) -> std::io::Result<JoinHandle<()>> {
    let work = move || {
        first();
        loop {
            match driven.step() {
                Step::Again => {}
                Step::Wait(None) => thread::park(),
                Step::Wait(Some(at)) => thread::park_timeout(at.saturating_sub(timer.elapsed())),
                Step::Done => return,
            }
        }
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
    signal.wakes(Arc::new(Parked(thread.thread().clone())).into());
    thread.thread().unpark(); // what woke it before it could be woken
    Ok(thread)
}

struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

async fn drive_task(driven: Arc<Mutex<Driven>>, timer: Clock, woken: Arc<Woken>) {
    loop {
        let step = lock(&driven).step();
        match step {
            Step::Again => tokio::task::yield_now().await,
            Step::Wait(None) => woken.0.notified().await,
            Step::Wait(Some(at)) => {
                let pause = at.saturating_sub(timer.elapsed());
                let _ = tokio::time::timeout(pause, woken.0.notified()).await;
            }
            Step::Done => return,
        }
    }
}
