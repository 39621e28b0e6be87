//! Row 8: the server: the only place that wires things together.
//!
//! A start goes in this order: signals, HTTP (alive, not ready), the log (it locks the data directory, recovers the WAL,
//! opens and claims the bucket), Kafka. While the bucket does not answer, the log waits, `/readyz` says so and Kafka's port
//! stays closed. What somebody must decide (a locked directory, a bucket of another owner, damage)
//! ends the start.
//!
//! SIGTERM or SIGINT stop cleanly: no new requests, everything decided is sealed, the bucket is released. A second signal,
//! a failure of the WAL, or another owner of the bucket end the process at once.
pub mod logging;
pub mod signals;
mod start;
mod words;

use std::io;
use std::time::Duration;

use tokio::sync::watch;

use crate::base::tasks::{Runtimes, Stop, Tasks};
use crate::base::{Clock, Limits, Metrics, Random};
use crate::config::{Config, HostPort};
use crate::coordinator::{self, Coordinators};
use crate::http::{self, Front, Stage};
use crate::log::{Env, Log, OpenError};
use signals::Signals;
use words::{Ready, Voice};

/// How long HTTP requests that have begun may take when everything else has stopped.
const HTTP_STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// What is decided at each start anew, so it has no place in a settings file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decisions {
    /// Take the bucket over from an owner that did not release it.
    pub take_over: bool,
    /// Probe the bucket again.
    pub probe: bool,
}

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Threads or signals could not be had.
    #[error("the process cannot start: {0}")]
    Process(#[source] io::Error),
    /// An address cannot be bound.
    #[error("{what} cannot listen on {address}: {error}; choose another address with {flag}")]
    Bind {
        /// Who.
        what: String,
        /// Where.
        address: HostPort,
        /// The system's reason.
        error: io::Error,
        /// The flag that changes it.
        flag: &'static str,
    },
    /// The log refused to open.
    #[error("{0}")]
    Open(OpenError),
    /// Groups or transactions cannot be served.
    #[error("{0}")]
    Coordinators(coordinator::OpenError),
    /// The log failed while it was served.
    #[error("fatal: {0}")]
    Failed(String),
    /// A second signal.
    #[error(
        "stopped at once by a second {0}; nothing that was acknowledged is lost, \
         the next start on this data directory goes on from the write-ahead log"
    )]
    Impatient(&'static str),
}

/// Serves until a signal or a failure.
pub fn run(config: &Config, decisions: Decisions) -> Result<(), ServerError> {
    logging::begin(&config.log_level, config.log_format);
    for name in &config.strange_variables {
        tracing::warn!("the variable {name} stands for no setting of Esker and is ignored");
    }
    let runtimes = Runtimes::start().map_err(ServerError::Process)?;
    let ended = runtimes.block_on(serve(config, decisions, runtimes.tasks()));
    // Everything durable is durable by now. Waiting for threads that hang in the kernel would only keep the process alive.
    std::mem::forget(runtimes);
    ended
}

async fn serve(config: &Config, decisions: Decisions, tasks: Tasks) -> Result<(), ServerError> {
    let voice = Voice(config.log_format);
    let mut signals = Signals::catch().map_err(ServerError::Process)?;
    let env = Env {
        clock: Clock::real(),
        random: Random::os(),
        metrics: Metrics::new(),
        limits: Limits::new(config.memory_bytes),
        tasks,
    };
    let (tell, stage) = watch::channel(Stage::Starting(start::OPENING.to_owned()));
    let (listener, http_at) = start::bind("HTTP", &config.http, "--http").await?;
    start::check_kafka(&config.listeners).await?;
    let front = Front { stage, metrics: env.metrics.clone(), store: start::store_url(config).into() };
    let stop_http = Stop::new();
    let http = tokio::spawn(http::serve(listener, front.clone(), stop_http.clone()));

    let opened = tokio::select! {
        opened = start::open(config, decisions, env.clone(), &tell, voice) => Some(opened?),
        signal = signals.next() => {
            voice.say(&format!("{signal} before the start was complete: nothing was served"));
            None
        }
    };
    if let Some(log) = opened {
        let reached = Reached { store: &front.store, http: &http_at };
        served(config, (&log, &env), &tell, &reached, &mut signals, voice).await?;
    }
    stop_http.stop();
    let _ = tokio::time::timeout(HTTP_STOP_TIMEOUT, http).await;
    Ok(())
}

/// Where the process is reached.
struct Reached<'a> {
    store: &'a str,
    http: &'a HostPort,
}

/// Serves an open log until it fails or a signal comes, then stops it.
async fn served(
    config: &Config,
    (log, env): (&Log, &Env),
    tell: &watch::Sender<Stage>,
    reached: &Reached<'_>,
    signals: &mut Signals,
    voice: Voice,
) -> Result<(), ServerError> {
    let opened = Coordinators::of(log, config.coordinators.clone(), env).await;
    let coordinators = opened.map_err(ServerError::Coordinators)?;
    let bound = start::bind_kafka(&config.listeners).await?;
    let heard: Vec<_> = bound.iter().map(|(_, heard)| heard.clone()).collect();
    let stop_kafka = Stop::new();
    let serving = start::serve_kafka(config, (log, coordinators), env, bound, &stop_kafka);
    tell.send_replace(Stage::Serving(log.clone()));
    let program = std::env::args().next().unwrap_or_else(|| "esker".to_owned());
    voice.say(&words::ready(&Ready {
        config,
        kafka: &heard,
        http: reached.http,
        store: reached.store,
        wal_bytes: log.wal_space().1,
        report: log.start_report(),
        took: env.clock.elapsed(),
        program: &program,
    }));
    let signal = tokio::select! {
        why = log.failed() => return Err(ServerError::Failed(why)),
        signal = signals.next() => signal,
    };
    voice.say(&format!("{signal}: stopping; what is not sealed yet goes to {}", reached.store));
    tell.send_replace(Stage::Stopping);
    let began = env.clock.elapsed();
    stop_kafka.stop();
    let stopping = async {
        serving.await;
        log.stop().await
    };
    let report = tokio::select! {
        report = stopping => report,
        signal = signals.next() => return Err(ServerError::Impatient(signal)),
    };
    voice.say(&words::stopped(&report, reached.store, env.clock.elapsed().saturating_sub(began)));
    Ok(())
}
