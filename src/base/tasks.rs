//! Runtimes and shutdown: cold work has threads of its own, so that it never takes one from the hot path.
use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where tasks run. `hot` serves producers and the tail; `cold` seals, uploads and replays history.
#[derive(Clone, Debug)]
pub struct Tasks {
    /// Network, produce, hot reads.
    pub hot: Handle,
    /// Object store, Parquet, background work.
    pub cold: Handle,
    /// Nothing leaves the runtime's one thread: see [`Tasks::in_one_thread`].
    one_thread: bool,
}

/// Owns the two runtimes; dropping it ends what still runs on them.
#[derive(Debug)]
pub struct Runtimes {
    hot: Runtime,
    cold: Runtime,
}

impl Runtimes {
    /// Starts both: as many threads as cores for the hot one, at most as many and at least two for the cold one, at a
    /// lower priority.
    pub fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let hot = Builder::new_multi_thread()
            .thread_name("hot")
            .worker_threads(cores)
            .max_blocking_threads(cores * 4)
            .enable_all()
            .build()?;
        let cold = Builder::new_multi_thread()
            .thread_name("cold")
            .worker_threads(cores.max(2))
            .max_blocking_threads(cores * 4)
            .on_thread_start(lower_priority)
            .enable_all()
            .build()?;
        Ok(Self { hot, cold })
    }

    /// Handles for those who spawn.
    pub fn tasks(&self) -> Tasks {
        Tasks { hot: self.hot.handle().clone(), cold: self.cold.handle().clone(), one_thread: false }
    }

    /// Runs `main` on the hot runtime until it ends.
    pub fn block_on<F: Future>(&self, main: F) -> F::Output {
        self.hot.block_on(main)
    }
}

impl Tasks {
    /// Both handles on the current runtime: for tests and for the embedded library.
    pub fn current() -> Self {
        Self { hot: Handle::current(), cold: Handle::current(), one_thread: false }
    }

    /// Both handles on the current runtime, and no thread beside its own: what blocks is a task like any other. On a runtime
    /// of one thread with paused time a whole log runs like this, and the same seed gives the same run.
    pub fn in_one_thread() -> Self {
        Self { one_thread: true, ..Self::current() }
    }

    /// Whether nothing may wait for another thread, for there is none.
    pub fn are_in_one_thread(&self) -> bool {
        self.one_thread
    }

    /// Runs `work`, which may block, beside the hot runtime's tasks.
    pub fn blocking_hot<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.blocking(&self.hot, work)
    }

    /// Runs `work`, which may block, beside the cold runtime's tasks.
    pub fn blocking_cold<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.blocking(&self.cold, work)
    }

    fn blocking<T: Send + 'static>(&self, on: &Handle, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        if self.one_thread { on.spawn(async move { work() }) } else { on.spawn_blocking(work) }
    }
}

/// On Linux a nice value belongs to the thread; elsewhere this would slow the whole process, so it is left alone.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(5);
}

/// Tells everybody that the process is about to stop; cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop {
    tell: watch::Sender<bool>,
    told: watch::Receiver<bool>,
}

impl Stop {
    /// Nobody has said stop yet.
    pub fn new() -> Self {
        let (tell, told) = watch::channel(false);
        Self { tell, told }
    }

    /// Says stop.
    pub fn stop(&self) {
        self.tell.send_replace(true);
    }

    /// Whether stop was said.
    pub fn is_stopped(&self) -> bool {
        *self.told.borrow()
    }

    /// Resolves when stop is said.
    pub async fn stopped(&self) {
        let mut told = self.told.clone();
        let _ = told.wait_for(|stopped| *stopped).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}
