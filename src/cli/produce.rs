//! `esker produce`: lines of stdin to a topic, as an idempotent producer: no line is written twice, however often its
//! batch has to be sent. With `--transactional-id` all lines are one transaction: whoever reads committed sees all of them or
//! none.
mod batcher;
mod lines;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use tokio::sync::mpsc;

use super::failure::Failure;
use super::input::{self, Format};
use super::partitioner::Partitioner;
use super::progress::Progress;
use super::source::BrokerArg;
use crate::base::{Clock, Random};
use crate::config::HostPort;
use crate::kafka::client::{Client, ClientError, ClientOptions, Topic};
use crate::kafka::errors::ErrorCode;
use crate::record::Codec;
use batcher::{Batcher, Ready};

/// For how long a batch that the broker cannot take at the moment is sent again: Kafka's `delivery.timeout.ms`.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);
/// The wait before a batch is sent again.
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// After which time the broker aborts a transaction whose producer died: as long as brokers allow by default.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Sets of batches that wait to be sent.
const SETS_WAITING: usize = 2;

/// Flags of `esker produce`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Topic; it is made if it is not there and the broker allows it
    topic: String,
    /// What separates key and value in a line: its first occurrence; \t stands for a tab
    #[arg(long, value_name = "SEP", value_parser = input::separator)]
    key_separator: Option<String>,
    /// How a line is read
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// How batches are compressed
    #[arg(long, value_enum, default_value_t = CodecArg::None)]
    codec: CodecArg,
    /// Write all lines in one transaction under this name: all of them count, or none. A second producer of the same name
    /// ends the first one's. It has to end within 15 minutes
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    transactional_id: Option<String>,
    #[command(flatten)]
    broker: BrokerArg,
}

/// Codecs by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CodecArg {
    None,
    Lz4,
    Zstd,
    Snappy,
    Gzip,
}

impl From<CodecArg> for Codec {
    fn from(codec: CodecArg) -> Self {
        match codec {
            CodecArg::None => Self::None,
            CodecArg::Lz4 => Self::Lz4,
            CodecArg::Zstd => Self::Zstd,
            CodecArg::Snappy => Self::Snappy,
            CodecArg::Gzip => Self::Gzip,
        }
    }
}

/// `esker produce`.
pub async fn run(args: Args) -> Result<(), Failure> {
    if args.key_separator.is_some() && args.format == Format::Json {
        return Err(Failure::Usage("--key-separator is for lines of text; a JSON object names its key".to_owned()));
    }
    let clock = Clock::real();
    let mut link = Link::open(&args, clock.clone()).await?;
    let producer = link.producer().await?;
    let mut reading = Reading {
        partitioner: Partitioner::new(link.topic.partitions, Random::os()),
        partitions: link.topic.partitions,
        batcher: Batcher::new(args.codec.into(), producer, args.transactional_id.is_some()),
        clock,
        lines: 0,
        args,
    };
    let (send, mut receive) = mpsc::channel::<Vec<Ready>>(SETS_WAITING);
    let topic = reading.args.topic.clone();
    let sending = tokio::spawn(async move {
        let mut progress = Progress::counter("records");
        while let Some(set) = receive.recv().await {
            match link.send(set).await {
                Ok(sent) => progress.add(sent),
                Err(why) => return (link, Err(why)),
            }
        }
        (link, Ok(progress.finish()))
    });
    let read = reading.run(&send).await;
    drop(send);
    let (mut link, sent) = sending.await.map_err(Failure::of)?;
    let aborted = link.transactional_id.is_some() && read.is_err();
    link.end(producer, read.is_ok() && sent.is_ok()).await?;
    let sent = sent?;
    let records = if sent == 1 { "record" } else { "records" };
    match aborted {
        true => eprintln!("{sent} {records} written to {topic} in a transaction that was aborted: none of them counts"),
        false => eprintln!("{sent} {records} written to {topic}"),
    }
    read
}

/// Turns lines into batches.
struct Reading {
    args: Args,
    partitioner: Partitioner,
    partitions: i32,
    batcher: Batcher,
    clock: Clock,
    lines: u64,
}

impl Reading {
    /// Reads to the end of stdin, or to the first line that cannot be taken; what was read before it is sent.
    async fn run(&mut self, send: &mpsc::Sender<Vec<Ready>>) -> Result<(), Failure> {
        let mut input = lines::read_stdin().map_err(Failure::of)?;
        loop {
            let chunk = match input.try_recv() {
                Ok(chunk) => Some(chunk),
                Err(_) => {
                    // Nothing waits: what there is goes out, and the next line may take its time.
                    if !self.hand_over(send, true).await? {
                        return Ok(());
                    }
                    input.recv().await
                }
            };
            let Some(chunk) = chunk else { return Ok(()) };
            let chunk = chunk.map_err(|e| Failure::Failed(format!("cannot read stdin: {e}")))?;
            let taken = self.take(chunk);
            if !self.hand_over(send, taken.is_err()).await? {
                return Ok(());
            }
            taken?;
        }
    }

    /// Passes batches on; false when the sender has given up (it says why).
    async fn hand_over(&mut self, send: &mpsc::Sender<Vec<Ready>>, all: bool) -> Result<bool, Failure> {
        let ready = if all { self.batcher.take_all().map_err(Failure::of)? } else { self.batcher.take_full() };
        Ok(ready.is_empty() || send.send(ready).await.is_ok())
    }

    fn take(&mut self, chunk: Vec<Bytes>) -> Result<(), Failure> {
        let now_ms = self.clock.now_ms();
        for line in chunk {
            self.lines += 1;
            let at = |e: &dyn std::fmt::Display, lines: u64| {
                Failure::Failed(format!("line {lines} was not taken, nor anything after it: {e}"))
            };
            let parsed = input::parse(line, self.args.format, self.args.key_separator.as_deref());
            let input = parsed.map_err(|e| at(&e, self.lines))?;
            let partition = match input.partition {
                Some(partition) if partition >= self.partitions => {
                    let (topic, count) = (&self.args.topic, self.partitions);
                    let what = format!("topic '{topic}' has no partition {partition}: it has {count}, numbered from 0");
                    return Err(at(&what, self.lines));
                }
                Some(partition) => partition,
                None => self.partitioner.choose(input.key.as_deref(), input.size()),
            };
            self.batcher.add(partition, &input, now_ms).map_err(|e| at(&e, self.lines))?;
        }
        Ok(())
    }
}

/// The connection, made anew when it breaks.
struct Link {
    address: HostPort,
    transactional_id: Option<String>,
    /// Whether anything was sent.
    began: bool,
    client: Client,
    topic: Topic,
    clock: Clock,
}

impl Link {
    async fn open(args: &Args, clock: Clock) -> Result<Self, Failure> {
        let (address, topic) = (args.broker.address()?, args.topic.as_str());
        let transactional_id = args.transactional_id.clone();
        let client = connect(&address).await.map_err(Failure::of)?;
        let began = clock.elapsed();
        loop {
            match client.topics(Some(&[topic]), true).await {
                Ok(topics) => {
                    let found = topics.into_iter().find(|found| found.name == topic && found.partitions > 0);
                    if let Some(topic) = found {
                        return Ok(Self { address, transactional_id, began: false, client, topic, clock });
                    }
                }
                // A topic that is just being made says so first.
                Err(ClientError::Refused { code: ErrorCode::LeaderNotAvailable, .. }) => {}
                Err(error) => return Err(Failure::of(error)),
            }
            if clock.elapsed().saturating_sub(began) > DELIVERY_TIMEOUT {
                return Err(Failure::Failed(format!("topic '{topic}' was not made in time: see the broker's log")));
            }
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }

    /// Who this producer is.
    async fn producer(&mut self) -> Result<(i64, i16), Failure> {
        let Some(id) = self.transactional_id.clone() else {
            return self.client.new_producer_id().await.map_err(Failure::of);
        };
        self.again(async |client| client.transactional_producer_id(&id, TRANSACTION_TIMEOUT).await).await
    }

    /// Ends the transaction, if there is one.
    async fn end(&mut self, producer: (i64, i16), commit: bool) -> Result<(), Failure> {
        match self.transactional_id.clone() {
            Some(id) if self.began => {
                self.again(async |client| client.end_transaction(&id, producer, commit).await).await
            }
            _ => Ok(()),
        }
    }

    /// Asks until the broker can answer.
    async fn again<T>(&mut self, ask: impl AsyncFn(&Client) -> Result<T, ClientError>) -> Result<T, Failure> {
        let began = self.clock.elapsed();
        loop {
            match ask(&self.client).await {
                Ok(answer) => return Ok(answer),
                Err(why) if may_pass(&why) && self.clock.elapsed().saturating_sub(began) < DELIVERY_TIMEOUT => {}
                Err(why) => return Err(Failure::of(why)),
            }
            tokio::time::sleep(RETRY_WAIT).await;
            if let Ok(client) = connect(&self.address).await {
                self.client = client;
            }
        }
    }

    /// Sends a set of batches: partitions side by side, the batches of one in order. Returns the number of records.
    async fn send(&mut self, set: Vec<Ready>) -> Result<u64, Failure> {
        self.began = true;
        let records = set.iter().map(|ready| u64::from(ready.records)).sum();
        let mut waiting: BTreeMap<i32, Vec<Ready>> = BTreeMap::new();
        for ready in set {
            waiting.entry(ready.partition).or_default().push(ready);
        }
        let began = self.clock.elapsed();
        while !waiting.is_empty() {
            let (client, topic, id) = (&self.client, &self.topic, self.transactional_id.as_deref());
            let sending = waiting.into_values().map(|batches| send_in_order(client, topic, id, batches));
            let left = try_join_all(sending).await?;
            let left: Vec<Left> = left.into_iter().flatten().collect();
            let Some(why) = left.first().map(|left| left.why.to_string()) else { break };
            let late = self.clock.elapsed().saturating_sub(began) > DELIVERY_TIMEOUT;
            if late {
                return Err(Failure::Failed(format!("given up after {} s: {why}", DELIVERY_TIMEOUT.as_secs())));
            }
            waiting = left.into_iter().map(|left| (left.partition, left.batches)).collect();
            tokio::time::sleep(RETRY_WAIT).await;
            if let Ok(client) = connect(&self.address).await {
                self.client = client;
            }
        }
        Ok(records)
    }
}

/// Batches of one partition that have to be sent again.
struct Left {
    partition: i32,
    batches: Vec<Ready>,
    why: ClientError,
}

/// Sends batches one after the other; those that the broker cannot take now come back.
async fn send_in_order(
    client: &Client,
    topic: &Topic,
    transactional_id: Option<&str>,
    batches: Vec<Ready>,
) -> Result<Option<Left>, Failure> {
    for (i, ready) in batches.iter().enumerate() {
        match client.produce_in(topic, ready.partition, ready.batch.clone(), transactional_id).await {
            Ok(_) => {}
            Err(why) if may_pass(&why) => {
                return Ok(Some(Left { partition: ready.partition, batches: batches[i..].to_vec(), why }));
            }
            Err(error) => return Err(Failure::of(error)),
        }
    }
    Ok(None)
}

/// Whether the same batch may be taken later. Its sequence number keeps it from being written twice.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Connect { .. } | ClientError::Broken { .. } | ClientError::TimedOut { .. } => true,
        ClientError::Refused { code, .. } => matches!(
            code,
            ErrorCode::KafkaStorageError
                | ErrorCode::NotLeaderOrFollower
                | ErrorCode::LeaderNotAvailable
                | ErrorCode::RequestTimedOut
                | ErrorCode::ConcurrentTransactions
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::CoordinatorLoadInProgress
        ),
        _ => false,
    }
}

async fn connect(address: &HostPort) -> Result<Client, ClientError> {
    Client::connect(&address.to_string(), ClientOptions::default()).await
}
