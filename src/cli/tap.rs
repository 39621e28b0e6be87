//! One topic to read from: over a broker, or straight from a bucket. Both answer the same questions.
use std::time::Duration;

use tokio::sync::mpsc;

use super::bucket;
use super::consume::{Fetched, Span};
use super::failure::Failure;
use super::point::Point;
use super::source::Source;
use crate::kafka::client::{Client, ClientOptions, EARLIEST, FetchLimits, LATEST, Topic, committed};

/// Bytes of one partition in one answer.
const PARTITION_BYTES: i32 = 8 << 20;
/// Longest wait of a fetch at the end of a log.
const WAIT: Duration = Duration::from_millis(500);

/// An open topic.
pub enum Tap {
    /// Over a broker.
    Broker {
        /// The connection.
        client: Client,
        /// The topic.
        topic: Topic,
    },
    /// From a bucket.
    Bucket(bucket::Topic),
}

impl Tap {
    /// Opens a topic that must be there.
    pub async fn open(source: &Source, topic: &str) -> Result<Self, Failure> {
        match source {
            Source::Broker(address) => {
                let client =
                    Client::connect(&address.to_string(), ClientOptions::default()).await.map_err(Failure::of)?;
                let topics = client.topics(Some(&[topic]), false).await.map_err(Failure::of)?;
                let found = topics.into_iter().find(|found| found.name == topic);
                let topic = found.ok_or_else(|| Failure::Failed(format!("there is no topic '{topic}'")))?;
                Ok(Self::Broker { client, topic })
            }
            Source::Store(url) => bucket::Topic::open(url, topic).await.map(Self::Bucket),
        }
    }

    /// The partitions that were asked for: one, or all.
    pub fn partitions(&self, only: Option<i32>) -> Result<Vec<i32>, Failure> {
        match self {
            Self::Broker { topic, .. } => bucket::partitions(&topic.name, topic.partitions, only),
            Self::Bucket(topic) => bucket::partitions(&topic.info.name, topic.info.partitions, only),
        }
    }

    /// First offset that may be read, and the end.
    pub async fn ends(&self, partition: i32) -> Result<(i64, i64), Failure> {
        match self {
            Self::Broker { .. } => Ok((self.ask(partition, EARLIEST).await?, self.ask(partition, LATEST).await?)),
            Self::Bucket(topic) => Ok(topic.ends(partition)),
        }
    }

    /// The offset that a point stands for; none if it is a time that no record has reached.
    pub async fn offset_of(&self, partition: i32, point: Point, now_ms: i64) -> Result<Option<i64>, Failure> {
        let (start, end) = match point {
            Point::Earliest | Point::Latest => self.ends(partition).await?,
            _ => (0, 0),
        };
        let ms = match point {
            Point::Earliest => return Ok(Some(start)),
            Point::Latest => return Ok(Some(end)),
            Point::Offset(offset) => return Ok(Some(offset)),
            Point::Time(ms) => ms,
            Point::Ago(ms) => now_ms.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)),
        };
        // A negative time would be one of the protocol's special questions; no record is asked for by a time before 1970.
        let ms = ms.max(0);
        let offset = match self {
            Self::Broker { .. } => self.ask(partition, ms).await?,
            Self::Bucket(topic) => topic.at_or_after(partition, ms).await?,
        };
        Ok((offset >= 0).then_some(offset))
    }

    /// Reads the spans to their ends; an answer that nobody waits for any more ends it.
    pub async fn run(self, spans: Vec<Span>, send: mpsc::Sender<Vec<Fetched>>) -> Result<(), Failure> {
        match self {
            Self::Broker { client, topic } => read_broker(&client, &topic, spans, send).await,
            Self::Bucket(topic) => topic.read(spans, send).await,
        }
    }

    async fn ask(&self, partition: i32, timestamp: i64) -> Result<i64, Failure> {
        let Self::Broker { client, topic } = self else { return Ok(-1) };
        let found = client.list_offsets(&topic.name, &[partition], timestamp, true).await.map_err(Failure::of)?;
        let found = found.into_iter().find(|found| found.partition == partition);
        found.map(|found| found.offset).ok_or_else(|| Failure::Failed("the broker's answer is incomplete".to_owned()))
    }
}

async fn read_broker(
    client: &Client,
    topic: &Topic,
    mut spans: Vec<Span>,
    send: mpsc::Sender<Vec<Fetched>>,
) -> Result<(), Failure> {
    let limits = FetchLimits { max_wait: WAIT, partition_max_bytes: PARTITION_BYTES, committed_only: true };
    loop {
        spans.retain(|span| !span.is_done());
        if spans.is_empty() {
            return Ok(());
        }
        let positions: Vec<(i32, i64)> = spans.iter().map(|span| (span.partition, span.next)).collect();
        let mut answer = Vec::new();
        for read in client.fetch(topic, &positions, limits).await.map_err(Failure::of)? {
            let at = format!("{}/{}", topic.name, read.partition);
            let bad = |e| Failure::Failed(format!("{at}: the broker's answer cannot be read: {e}"));
            let (batches, next) = committed(read.records, read.aborted).map_err(bad)?;
            let Some(span) = spans.iter_mut().find(|span| span.partition == read.partition) else { continue };
            let Some(next) = next else { continue };
            span.next = span.next.max(next);
            answer.push(Fetched { partition: read.partition, batches, next });
        }
        // The partition that was answered waits behind the others, so that none of them starves.
        if !answer.is_empty() {
            spans.rotate_left(1);
            if send.send(answer).await.is_err() {
                return Ok(());
            }
        }
    }
}
