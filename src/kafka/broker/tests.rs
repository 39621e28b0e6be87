//! The whole of this side over a real log in a temporary folder, spoken to in bytes.
mod admin;
mod broker_settings;
mod consumer_groups;
mod fetching;
mod finding;
mod group_client;
mod group_settings;
mod groups;
mod placement;
mod producing;
mod protocol;
mod repeated;
mod security;
mod transactions;

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::base::tasks::Tasks;
use crate::base::{Clock, Limits, Metrics, Random};
use crate::coordinator::{self, Coordinator, GroupOptions};
use crate::kafka::client::{Client, ClientOptions, Topic};
use crate::kafka::messages::{Request, decode_response, encode_request};
use crate::log::Options;
use crate::record::{BatchBuilder, Codec, Producer, Record, TimestampType, for_each_record, split};

/// A broker on a free port, over a log of its own.
struct Setup {
    log: Log,
    address: String,
    stop: Stop,
    serving: tokio::task::JoinHandle<()>,
    coordinator: Coordinator,
    responses: Responses,
    folder: Arc<tempfile::TempDir>,
}

impl Setup {
    async fn new() -> Self {
        Self::with(BrokerOptions::default()).await
    }

    async fn with(options: BrokerOptions) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), options, GroupOptions::default()).await
    }

    async fn on(folder: Arc<tempfile::TempDir>, options: BrokerOptions, groups: GroupOptions) -> Self {
        let mut log_options = Options::new(folder.path());
        log_options.wal.file_bytes = 1 << 20;
        log_options.wal.budget_bytes = Some(16 << 20);
        log_options.wal.group_max_bytes = 256 << 10;
        let env = Env {
            clock: Clock::real(),
            random: Random::os(),
            metrics: Metrics::new(),
            limits: Limits::default(),
            tasks: Tasks::current(),
        };
        let log = Log::open(log_options, env.clone()).await.unwrap();
        let stop = Stop::new();
        let options_of_groups = coordinator::Options { groups, ..coordinator::Options::default() };
        let coordinators = Coordinators::of(&log, options_of_groups, &env).await.unwrap();
        let coordinator = coordinators.groups.clone();
        let broker = Broker::new(log.clone(), coordinators, &options, &env, stop.clone());
        let responses = broker.shared.responses.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            broker.serve(listener, Advertised { host: "kafka.example".to_owned(), port: 9092 }).await;
        });
        Self { log, address: format!("127.0.0.1:{port}"), stop, serving, coordinator, responses, folder }
    }

    async fn client(&self) -> Client {
        Client::connect(&self.address, ClientOptions::default()).await.unwrap()
    }

    async fn raw(&self) -> Raw {
        Raw { stream: TcpStream::connect(&self.address).await.unwrap(), next_id: 0 }
    }

    async fn topic(&self, name: &str, partitions: i32) -> Topic {
        let client = self.client().await;
        client.create_topic(name, Some(partitions), &std::collections::BTreeMap::new()).await.unwrap();
        client.topics(Some(&[name]), false).await.unwrap().remove(0)
    }
}

/// A connection on which versions are chosen and answers awaited by hand.
struct Raw {
    stream: TcpStream,
    next_id: i32,
}

impl Raw {
    async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.next_id += 1;
        let frame = encode_request(version, self.next_id, "test", request).unwrap();
        self.stream.write_all(&frame.to_bytes()).await.unwrap();
    }

    /// The next answer's bytes; `None` if the connection was closed.
    async fn frame(&mut self) -> Option<Bytes> {
        let length = self.stream.read_i32().await.ok()?;
        let mut frame = vec![0; length as usize];
        self.stream.read_exact(&mut frame).await.unwrap();
        Some(frame.into())
    }

    async fn answer<R: Request>(&mut self, version: i16) -> R::Response {
        decode_response::<R>(version, self.frame().await.expect("an answer")).unwrap().1
    }

    async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request).await;
        let (id, answer) = decode_response::<R>(version, self.frame().await.expect("an answer")).unwrap();
        assert_eq!(id, self.next_id);
        answer
    }
}

/// A batch of records with these values, by `producer`.
fn batch_of(values: &[&str], codec: Codec, producer: Producer) -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.set_producer(producer);
    for (value, offset) in values.iter().zip(0..) {
        let record = Record {
            offset,
            timestamp: 1_700_000_000_000 + offset,
            timestamp_type: TimestampType::Create,
            leader_epoch: -1,
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Vec::new(),
        };
        let _ = builder.push(&record.as_ref()).unwrap();
    }
    builder.finish(codec, None).unwrap()
}

fn batch(values: &[&str]) -> Bytes {
    batch_of(values, Codec::None, Producer::NONE)
}

/// Offsets and values in fetched bytes.
fn records(bytes: &Bytes) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    for batch in split(bytes.clone()) {
        let batch = batch.unwrap();
        let mut here = Vec::new();
        let header = for_each_record(&batch, 1 << 20, &mut Vec::new(), |record| {
            let value = record.value.map(|value| String::from_utf8_lossy(value).into_owned());
            here.push((record.offset, value.unwrap_or_default()));
            Ok::<_, crate::record::BatchError>(())
        });
        if !header.unwrap().is_control() {
            found.append(&mut here);
        }
    }
    found
}
