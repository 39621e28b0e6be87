//! Fetch: batches from positions, with or without a session, waiting for data as long as the consumer wants to.
//!
//! What is in memory is answered at once; reads of the cold tier run side by side, and one that takes long does not hold
//! up what the others found: its work stays in the cold tier's cache for the next request.
pub mod session;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::{Call, Endpoint};
use crate::base::{ByteBudget, BytePermit};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::fetch::{
    AbortedTransaction, EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use crate::kafka::messages::wire::Records;
use crate::kafka::server::connection::{Answer, Hangup, Step};
use crate::kafka::server::intake::Received;
use crate::log::{Fetched, Isolation, Partition, ReadError, WaitOn};
use session::{Begun, TopicKey, Wanted};

/// Versions from this one on name topics by id.
const TOPIC_IDS_FROM: i16 = 13;
/// An answer takes at most this share of the memory for answers, so that several fit.
const SHARE: u64 = 4;
/// What an answer takes when there is not enough for what it wants.
const BUSY_BYTES: usize = 1 << 20;
/// How long an answer without any records waits for the cold tier, if the consumer does not want to wait longer.
const COLD_WAIT: Duration = Duration::from_secs(10);

/// How far a reader may see.
pub fn isolation(level: i8) -> Result<Isolation, ErrorCode> {
    match level {
        0 => Ok(Isolation::ReadUncommitted),
        1 => Ok(Isolation::ReadCommitted),
        _ => Err(ErrorCode::InvalidRequest),
    }
}

/// Takes a request in: its place in its session is decided before the next request is.
pub fn start(endpoint: &Arc<Endpoint>, call: Call, received: Received) -> Result<Step, Hangup> {
    let request: FetchRequest = endpoint.decode(call, received)?;
    let by_id = call.header.api_version >= TOPIC_IDS_FROM;
    let begun = isolation(request.isolation_level).and_then(|isolation| {
        let begun = endpoint.shared.sessions.begin(&request, by_id, endpoint.shared.clock.elapsed())?;
        Ok((isolation, begun))
    });
    let (isolation, begun) = match begun {
        Ok(begun) => begun,
        Err(code) => {
            let response = FetchResponse { error_code: endpoint.refuse(code), ..FetchResponse::default() };
            return Ok(Step::Done(endpoint.finish::<FetchRequest>(call, &response, None)));
        }
    };
    let share = endpoint.shared.responses.tail.capacity() / SHARE;
    let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(usize::try_from(share).unwrap_or(usize::MAX));
    let fetch = Fetch {
        isolation,
        max_bytes,
        min_bytes: usize::try_from(request.min_bytes).unwrap_or(0).min(max_bytes),
        max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
        places: begun.wanted.iter().map(|wanted| Place::find(endpoint, wanted)).collect(),
        endpoint: endpoint.clone(),
        call,
        begun,
    };
    Ok(Step::Alone(Box::pin(fetch.answer())))
}

/// A request with its limits.
struct Fetch {
    endpoint: Arc<Endpoint>,
    call: Call,
    begun: Begun,
    /// One for each partition of `begun`.
    places: Vec<Result<Place, ErrorCode>>,
    isolation: Isolation,
    max_bytes: usize,
    min_bytes: usize,
    max_wait: Duration,
}

/// A partition that may be read.
#[derive(Clone)]
struct Place {
    partition: Partition,
    from: i64,
    max_bytes: usize,
    /// Epoch of the last record that the reader has, if it says so.
    last_epoch: i32,
}

/// What reading a partition came to; nothing if there was no time or no room for it.
type Outcome = Option<Result<Read, ReadError>>;

enum Read {
    Batches(Fetched),
    /// The reader's history parts from this one: the last epoch that both know, and where it ends here.
    Diverging(i32, i64),
}

impl Place {
    fn find(endpoint: &Endpoint, wanted: &Wanted) -> Result<Self, ErrorCode> {
        let log = &endpoint.shared.log;
        let asked = &wanted.asked;
        let partition = match &wanted.topic {
            TopicKey::Name(name) => log.partition(name, asked.partition),
            TopicKey::Id(id) => {
                let topic = log.topic_by_id(*id).ok_or(ErrorCode::UnknownTopicId)?;
                log.partition(&topic.name, asked.partition)
            }
        };
        let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        endpoint.check_leader_epoch(asked.current_leader_epoch)?;
        let max_bytes = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
        Ok(Self { partition, from: asked.fetch_offset, max_bytes, last_epoch: asked.last_fetched_epoch })
    }

    /// Whether there is something to read, or to say, right now.
    fn is_ready(&self, isolation: Isolation) -> bool {
        let ends = self.partition.ends();
        let end = match isolation {
            Isolation::ReadUncommitted => ends.high_watermark,
            Isolation::ReadCommitted => ends.last_stable,
        };
        self.last_epoch >= 0 || self.from < end || self.from > ends.high_watermark
    }

    async fn read(self, max_bytes: usize, first_always: bool, isolation: Isolation) -> Result<Read, ReadError> {
        if self.last_epoch >= 0 {
            let (epoch, end) = self.partition.end_of_epoch(self.last_epoch).await?;
            if epoch < 0 {
                // An epoch that never was here: as in Kafka, the reader has to begin anew.
                let ends = self.partition.ends();
                let (log_start, end) = (ends.log_start, ends.high_watermark);
                return Err(ReadError::OutOfRange { offset: self.from, log_start, end });
            }
            if epoch < self.last_epoch || end < self.from {
                return Ok(Read::Diverging(epoch, end));
            }
        }
        Ok(Read::Batches(self.partition.read(self.from, max_bytes, first_always, isolation).await?))
    }
}

impl Fetch {
    async fn answer(self) -> Answer {
        let mut read = self.read().await;
        let waits = !self.places.is_empty() && self.places.iter().all(Result::is_ok) && !self.max_wait.is_zero();
        if waits && !read.has_error && read.bytes < self.min_bytes {
            drop(read);
            let place = |place: &Place| WaitOn {
                partition: place.partition.clone(),
                from: place.from,
                isolation: self.isolation,
            };
            let places: Vec<WaitOn> = self.places.iter().flatten().map(place).collect();
            tokio::select! {
                () = self.endpoint.shared.log.wait(&places, self.min_bytes, self.max_wait) => {}
                () = self.endpoint.shared.stop.stopped() => {}
            }
            read = self.read().await;
        }
        self.respond(read)
    }

    /// Reads all places once.
    async fn read(&self) -> ReadAll {
        let mut all = ReadAll { outcomes: Vec::new(), bytes: 0, has_error: false, permit: None };
        all.outcomes.resize_with(self.places.len(), || None);
        let ready = |place: &Place| place.is_ready(self.isolation);
        if !self.places.iter().flatten().any(ready) {
            return all;
        }
        let wanted: usize = self.places.iter().flatten().map(|place| place.max_bytes).fold(0, usize::saturating_add);
        let is_cold = |place: &Place| place.is_ready(self.isolation) && place.partition.is_cold_at(place.from);
        let responses = &self.endpoint.shared.responses;
        let budget = if self.places.iter().flatten().any(is_cold) { &responses.history } else { &responses.tail };
        let (permit, most) = share(budget, wanted.min(self.max_bytes)).await;
        let mut slow = FuturesUnordered::new();
        let mut room = most;
        let count = self.places.len();
        for at in (0..count).map(|n| (self.begun.first + n) % count) {
            let Ok(place) = &self.places[at] else { continue };
            if !place.is_ready(self.isolation) || (room == 0 && (all.bytes > 0 || !slow.is_empty())) {
                continue;
            }
            let max_bytes = place.max_bytes.min(room);
            let first_always = all.bytes == 0 && slow.is_empty();
            let mut reading = Box::pin(place.clone().read(max_bytes, first_always, self.isolation));
            match futures::poll!(reading.as_mut()) {
                std::task::Poll::Ready(outcome) => room = room.saturating_sub(all.take(at, outcome)),
                std::task::Poll::Pending => {
                    room = room.saturating_sub(max_bytes);
                    slow.push(async move { (at, reading.await) });
                }
            }
        }
        let patience = if all.bytes >= self.min_bytes.max(1) { self.max_wait } else { self.max_wait.max(COLD_WAIT) };
        let finish = async {
            while let Some((at, outcome)) = slow.next().await {
                all.take(at, outcome);
            }
        };
        if tokio::time::timeout(patience, finish).await.is_err() {
            tracing::debug!("a fetch leaves the cold tier at work for the next one");
        }
        all.permit = trim(budget, permit, all.bytes);
        all
    }

    fn respond(self, mut read: ReadAll) -> Answer {
        let outcomes = std::mem::take(&mut read.outcomes).into_iter();
        let answers = self.begun.wanted.iter().zip(&self.places).zip(outcomes);
        let answers = answers.map(|((wanted, place), outcome)| {
            let answer = PartitionData { partition_index: wanted.asked.partition, ..PartitionData::default() };
            match (place, outcome) {
                (Err(code @ (ErrorCode::FencedLeaderEpoch | ErrorCode::UnknownLeaderEpoch)), _) => {
                    let answer = PartitionData { aborted_transactions: None, ..answer };
                    self.refused(answer, self.endpoint.refuse(*code))
                }
                (Err(code), _) => self.refused(answer, self.endpoint.refuse(*code)),
                (Ok(_), Some(Err(error))) => {
                    let answer = PartitionData { aborted_transactions: None, ..answer };
                    self.refused(answer, self.endpoint.fail(self.call, error))
                }
                (Ok(place), outcome) => self.answered(answer, place, outcome.and_then(Result::ok)),
            }
        });
        let answers = answers.collect();
        let mut responses: Vec<FetchableTopicResponse> = Vec::new();
        let mut last: Option<&TopicKey> = None;
        for (at, answer) in self.endpoint.shared.sessions.end(&self.begun, answers) {
            let key = &self.begun.wanted[at].topic;
            match responses.last_mut() {
                Some(topic) if last == Some(key) => topic.partitions.push(answer),
                _ => {
                    last = Some(key);
                    let mut topic = FetchableTopicResponse { partitions: vec![answer], ..Default::default() };
                    match key {
                        TopicKey::Name(name) => topic.topic = name.to_string(),
                        TopicKey::Id(id) => topic.topic_id = *id,
                    }
                    responses.push(topic);
                }
            }
        }
        let response = FetchResponse { session_id: self.begun.session_id, responses, ..FetchResponse::default() };
        self.endpoint.finish::<FetchRequest>(self.call, &response, read.permit)
    }

    fn refused(&self, answer: PartitionData, error_code: i16) -> PartitionData {
        PartitionData { error_code, high_watermark: -1, ..answer }
    }

    fn answered(&self, answer: PartitionData, place: &Place, read: Option<Read>) -> PartitionData {
        let ends = match &read {
            Some(Read::Batches(fetched)) => fetched.ends,
            _ => place.partition.ends(),
        };
        let mut answer = PartitionData {
            high_watermark: ends.high_watermark,
            last_stable_offset: ends.last_stable,
            log_start_offset: ends.log_start,
            aborted_transactions: (self.isolation == Isolation::ReadCommitted).then(Vec::new),
            ..answer
        };
        match read {
            Some(Read::Batches(fetched)) => {
                let aborted = |(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset };
                if let Some(list) = &mut answer.aborted_transactions {
                    list.extend(fetched.aborted.into_iter().map(aborted));
                }
                answer.records = Some(Records(fetched.batches));
            }
            Some(Read::Diverging(epoch, end_offset)) => answer.diverging_epoch = EpochEndOffset { epoch, end_offset },
            None => {}
        }
        answer
    }
}

/// What one round over all places found.
struct ReadAll {
    outcomes: Vec<Outcome>,
    bytes: usize,
    has_error: bool,
    permit: Option<BytePermit>,
}

impl ReadAll {
    /// Takes in what reading a place came to; returns its bytes.
    fn take(&mut self, at: usize, outcome: Result<Read, ReadError>) -> usize {
        let bytes = match &outcome {
            Ok(Read::Batches(fetched)) => fetched.batches.iter().map(bytes::Bytes::len).sum(),
            Ok(Read::Diverging(..)) | Err(_) => {
                // Worth telling at once.
                self.has_error = true;
                0
            }
        };
        self.bytes += bytes;
        self.outcomes[at] = Some(outcome);
        bytes
    }
}

/// A share of the response memory and how many bytes it is for: `most` where they are free, else less, so that many readers
/// get a little each instead of waiting for a few.
async fn share(budget: &ByteBudget, most: usize) -> (BytePermit, usize) {
    match budget.try_acquire(most as u64) {
        Some(permit) => (permit, most),
        None => {
            let less = most.min(BUSY_BYTES);
            (budget.acquire(less as u64).await, less)
        }
    }
}

/// Gives back what of a share of the response memory was not needed, if that can be done without waiting.
fn trim(budget: &ByteBudget, permit: BytePermit, used: usize) -> Option<BytePermit> {
    match used as u64 {
        0 => None,
        used if permit.bytes() <= used.saturating_mul(2) => Some(permit),
        used => Some(budget.try_acquire(used).unwrap_or(permit)),
    }
}
