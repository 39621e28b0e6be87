//! The Kafka side of a broker: what the process hands its listeners to.
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::net::TcpListener;

use super::counts::Counts;
use super::handlers::fetch::session::Sessions;
use super::handlers::{Endpoint, Shared};
use super::server::{Acceptor, Responses};
use crate::base::tasks::Stop;
use crate::coordinator::Coordinators;
use crate::log::{Env, Log};

/// What a user may choose.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Whether Metadata creates topics that do not exist. Default: true.
    pub auto_create_topics: bool,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self { auto_create_topics: true }
    }
}

/// Where clients of a listener are told to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Serves Kafka's protocol from a log; cheap to clone. Its limits are common to all listeners.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
    acceptor: Acceptor,
}

impl Broker {
    /// A broker over an open log and its coordinators. When `stop` is said, it answers what it had started and ends.
    pub fn new(log: Log, coordinators: Coordinators, options: &BrokerOptions, env: &Env, stop: Stop) -> Self {
        let Env { limits, clock, random, metrics, .. } = env;
        let responses = Responses::new(limits.response_bytes());
        let acceptor = Acceptor::new(limits, responses.clone(), metrics);
        let shared = Shared {
            log,
            coordinator: coordinators.groups,
            transactions: coordinators.transactions,
            settings: coordinators.settings,
            auto_create_topics: options.auto_create_topics,
            sessions: Sessions::new(random.clone()),
            responses,
            clock: clock.clone(),
            random: random.clone(),
            stop,
            counts: Counts::new(metrics),
            replication_noted: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), acceptor }
    }

    /// Serves a listener until the stop, and then until its connections have ended, at most five seconds more.
    pub async fn serve(&self, listener: TcpListener, advertised: Advertised) {
        let Advertised { host, port } = advertised;
        let endpoint = Arc::new(Endpoint { shared: self.shared.clone(), host, port });
        self.acceptor.run(listener, endpoint, self.shared.stop.clone()).await;
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Broker")
    }
}

#[cfg(test)]
mod tests;
