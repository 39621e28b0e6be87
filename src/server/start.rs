//! The steps of a start: the settings as the log takes them, the wait for the bucket, the addresses.
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::words::{Heard, Voice};
use super::{Decisions, ServerError};
use crate::base::tasks::Stop;
use crate::config::{Config, HostPort, Listener};
use crate::coordinator::Coordinators;
use crate::http::Stage;
use crate::kafka::{Advertised, Broker, BrokerOptions};
use crate::log::{Env, Log, Options, Waiting};

/// How long a stop may take to seal what is left.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// What is done before the first wait.
pub const OPENING: &str = "opening the log";

/// The bucket as people can copy it: a folder gets its absolute path.
pub fn store_url(config: &Config) -> String {
    let url = config.store_url();
    if url.contains("://") {
        return url;
    }
    let path = std::path::absolute(Path::new(&url)).unwrap_or_else(|_| url.clone().into());
    url::Url::from_file_path(path).map_or(url, String::from)
}

/// Opens the log. While the bucket does not answer it waits, and says so here and on `/readyz`.
pub async fn open(
    config: &Config,
    decisions: Decisions,
    env: Env,
    tell: &watch::Sender<Stage>,
    voice: Voice,
) -> Result<Log, ServerError> {
    let (waiting, mut waits) = watch::channel(None);
    let opening = Log::open(options(config, decisions, waiting), env);
    tokio::pin!(opening);
    let mut said = false;
    loop {
        tokio::select! {
            opened = &mut opening => return opened.map_err(ServerError::Open),
            Ok(()) = waits.changed() => {
                let why = waits.borrow_and_update().clone();
                let stage = why.map_or_else(|| OPENING.to_owned(), |why| format!("waiting for the bucket: {why}"));
                if !said && stage != OPENING {
                    said = true;
                    voice.say(&format!("{stage}\nKafka's port stays closed until it answers; trying again by itself"));
                }
                tell.send_replace(Stage::Starting(stage));
            }
        }
    }
}

fn options(config: &Config, decisions: Decisions, waiting: Waiting) -> Options {
    let address = config.listeners.first().map(|one| one.advertised.as_ref().unwrap_or(&one.bind).to_string());
    Options {
        store_url: config.store.clone(),
        broker_id: config.broker_id,
        take_over: decisions.take_over,
        probe: decisions.probe,
        address: address.unwrap_or_default(),
        topic_defaults: config.topic_defaults.clone(),
        num_partitions: config.num_partitions,
        wal: config.wal.clone(),
        store: config.requests.clone(),
        waiting: Some(waiting),
        stop_timeout: STOP_TIMEOUT,
        ..Options::new(&config.data)
    }
}

/// Binds an address; what was bound has the port that the system gave.
pub async fn bind(what: &str, address: &HostPort, flag: &'static str) -> Result<(TcpListener, HostPort), ServerError> {
    let failed = |error| ServerError::Bind { what: what.to_owned(), address: address.clone(), error, flag };
    let listener = TcpListener::bind((address.host.as_str(), address.port)).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, HostPort { host: address.host.clone(), port }))
}

/// Tells an address that is taken before the bucket is claimed; the listeners are bound for good only when the log is open.
pub async fn check_kafka(listeners: &[Listener]) -> Result<(), ServerError> {
    bind_kafka(listeners).await.map(drop)
}

/// Binds all Kafka listeners.
pub async fn bind_kafka(listeners: &[Listener]) -> Result<Vec<(TcpListener, Heard)>, ServerError> {
    let mut bound = Vec::new();
    for one in listeners {
        let (listener, at) = bind(&format!("listener '{}'", one.name), &one.bind, "--listen").await?;
        let advertised = one.advertised.clone().unwrap_or_else(|| at.clone());
        bound.push((listener, Heard { name: one.name.clone(), bound: at, advertised }));
    }
    Ok(bound)
}

/// Serves Kafka on all listeners; the future ends when all of them have ended after `stop`.
pub fn serve_kafka(
    config: &Config,
    (log, coordinators): (&Log, Coordinators),
    env: &Env,
    bound: Vec<(TcpListener, Heard)>,
    stop: &Stop,
) -> impl Future<Output = ()> + use<> {
    let options = BrokerOptions { auto_create_topics: config.auto_create_topics };
    let broker = Broker::new(log.clone(), coordinators, &options, env, stop.clone());
    let mut listeners = JoinSet::new();
    for (listener, heard) in bound {
        let HostPort { host, port } = heard.advertised;
        let broker = broker.clone();
        let serve = async move { broker.serve(listener, Advertised { host, port }).await };
        listeners.spawn_on(serve, &env.tasks.hot);
    }
    async move { while listeners.join_next().await.is_some() {} }
}
