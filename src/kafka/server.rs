//! The TCP side: listeners, connections, their limits, and the end of all of them.
//!
//! | file | what it does |
//! |---|---|
//! | `intake` | requests off a socket, within a budget |
//! | `outlet` | answers onto a socket, without copies |
//! | `connection` | the order of one connection's requests and answers; patience with slow clients |
pub(super) mod connection;
pub(super) mod intake;
pub(super) mod outlet;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::base::metrics::{Counter, Gauge};
use crate::base::tasks::Stop;
use crate::base::{ByteBudget, Limits, Metrics};
use connection::{Connection, End, Service, TICK, Terms};

/// How long connections may take to answer what they had started when the stop came.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after a failed accept (no more file descriptors, for example).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Memory of answers that carry records, in two halves: readers of history, however many and slow, leave those at the tail
/// theirs.
#[derive(Clone, Debug)]
pub struct Responses {
    /// For fetches that the hot tier answers.
    pub tail: ByteBudget,
    /// For fetches that read the cold tier.
    pub history: ByteBudget,
}

impl Responses {
    /// Halves of `bytes`.
    pub fn new(bytes: u64) -> Self {
        let half = |name| ByteBudget::new(name, bytes / 2);
        Self { tail: half("kafka responses"), history: half("kafka responses of history") }
    }

    /// How many answers wait for memory.
    pub fn waiters(&self) -> u64 {
        self.tail.waiters() + self.history.waiters()
    }
}

/// The acceptor of connections; cheap to clone, and shared by all listeners so that their limits are common.
#[derive(Clone, Debug)]
pub struct Acceptor {
    terms: Terms,
    places: Arc<Semaphore>,
    open: Gauge,
    accepted: Counter,
}

impl Acceptor {
    /// An acceptor within `limits`. `responses`: the budget of answers, which the service takes shares of.
    pub fn new(limits: &Limits, responses: Responses, metrics: &Metrics) -> Self {
        let request_max = usize::try_from(limits.request_max_bytes()).unwrap_or(usize::MAX);
        let requests = ByteBudget::new("kafka requests", limits.request_bytes());
        Self {
            terms: Terms { requests, responses, request_max, tick: TICK },
            places: Arc::new(Semaphore::new(Limits::CONNECTIONS_MAX)),
            open: metrics.gauge("kafka_connections", "Connections of Kafka clients that are open"),
            accepted: metrics.counter("kafka_connections_accepted", "Connections of Kafka clients that were accepted"),
        }
    }

    /// Accepts connections until `stop` is said, then waits until they have answered what they had started, at most
    /// five seconds. When all places are taken, new connections wait in the kernel's queue.
    pub async fn run<S: Service>(&self, listener: TcpListener, service: Arc<S>, stop: Stop) {
        let mut connections = JoinSet::new();
        let stopped = stop.stopped();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => break,
                stream = self.accept(&listener) => {
                    let Some((stream, place)) = stream else { continue };
                    let peer = stream.peer_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
                    let connection = Connection::new(stream, service.clone(), self.terms.clone(), stop.clone());
                    let open = self.open.clone();
                    open.inc();
                    connections.spawn(async move {
                        let _open = Open(open);
                        log_end(&peer, &connection.run().await);
                        drop(place);
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all_ended).await.is_err() {
            tracing::warn!(connections = connections.len(), "closing connections that did not end in time");
            connections.shutdown().await;
        }
    }

    async fn accept(&self, listener: &TcpListener) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                self.accepted.inc();
                // Answers are written whole, so there is nothing for Nagle's algorithm to gather.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection ended while it was accepted");
                    return None;
                }
                Some((stream, place))
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; if file descriptors are short, raise the limit (ulimit -n)");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

/// Counts an open connection, also when its task panics.
struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn log_end(peer: &str, end: &End) {
    match end {
        End::Hangup(_) | End::Stuck(_) | End::Intake(intake::IntakeError::Length { .. }) => {
            tracing::warn!(%peer, reason = %end, "closed a connection");
        }
        _ => tracing::debug!(%peer, reason = %end, "a connection ended"),
    }
}
