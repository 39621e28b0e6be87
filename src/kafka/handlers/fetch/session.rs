//! Fetch sessions (KIP-227): the broker remembers what a consumer reads, so that a request names only what changed and an
//! answer only what is new.
//!
//! Pure but for a lock: it is told the time. Sessions and the partitions in them are bounded; when there is no room, the
//! session that was silent for longest goes if it was silent for two minutes (Kafka's
//! `min.incremental.fetch.session.eviction.ms`), else the consumer is served without one.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::{Limits, Random, Uuid};
use crate::kafka::errors::ErrorCode;
use crate::kafka::messages::fetch::{FetchPartition, FetchRequest, PartitionData};

/// A session that was silent for this long may make room for another.
const SILENCE: Duration = Duration::from_secs(120);
/// Partitions in all sessions together.
const PARTITIONS_MAX: usize = 200_000;
/// `FetchMetadata.INITIAL_EPOCH` begins a session, `FINAL_EPOCH` ends one.
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// How a request names a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicKey {
    /// By name, before version 13.
    Name(Arc<str>),
    /// By id.
    Id(Uuid),
}

/// A partition that is to be read.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its topic.
    pub topic: TopicKey,
    /// Its number, position and limits.
    pub asked: FetchPartition,
    /// High watermark and log start as the consumer was last told; `None` makes sure that it is told again.
    told: Option<(i64, i64)>,
}

/// One request, in or without a session.
#[derive(Debug)]
pub struct Begun {
    /// Session to name in the answer, or 0.
    pub session_id: i32,
    /// What to read, in this order.
    pub wanted: Arc<Vec<Wanted>>,
    /// Where in that order to begin, so that partitions with much data do not starve others.
    pub first: usize,
    /// Whether the answer names only partitions that have something new.
    incremental: bool,
}

/// All sessions of a broker.
#[derive(Debug)]
pub struct Sessions {
    cache: Mutex<Cache>,
    random: Random,
}

#[derive(Debug, Default)]
struct Cache {
    sessions: HashMap<i32, Session>,
    partitions: usize,
}

#[derive(Debug)]
struct Session {
    next_epoch: i32,
    by_id: bool,
    wanted: Arc<Vec<Wanted>>,
    places: HashMap<(TopicKey, i32), usize>,
    first: usize,
    last_used: Duration,
}

impl Sessions {
    /// None yet.
    pub fn new(random: Random) -> Self {
        Self { cache: Mutex::default(), random }
    }

    /// Finds out what a request reads. `by_id`: its version names topics by id. `now`: time since the start.
    pub fn begin(&self, request: &FetchRequest, by_id: bool, now: Duration) -> Result<Begun, ErrorCode> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        if epoch != INITIAL_EPOCH && epoch != FINAL_EPOCH {
            return self.go_on(request, by_id, now);
        }
        let wanted = Arc::new(named(request, by_id));
        let mut cache = self.lock();
        cache.remove(id);
        let mut session_id = 0;
        if epoch == INITIAL_EPOCH && cache.make_room(wanted.len(), now) {
            session_id = self.free_id(&cache);
            let session = Session {
                next_epoch: 1,
                by_id,
                wanted: wanted.clone(),
                places: wanted.iter().enumerate().map(|(at, w)| (w.key(), at)).collect(),
                first: 0,
                last_used: now,
            };
            cache.partitions += wanted.len();
            cache.sessions.insert(session_id, session);
        }
        Ok(Begun { session_id, wanted, first: 0, incremental: false })
    }

    fn go_on(&self, request: &FetchRequest, by_id: bool, now: Duration) -> Result<Begun, ErrorCode> {
        let mut cache = self.lock();
        let Cache { sessions, partitions } = &mut *cache;
        let session = sessions.get_mut(&request.session_id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.next_epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        *partitions -= session.wanted.len();
        session.update(request, by_id);
        if session.wanted.is_empty() {
            // Nothing is left to go on with.
            sessions.remove(&request.session_id);
            return Ok(Begun { session_id: 0, wanted: Arc::default(), first: 0, incremental: false });
        }
        *partitions += session.wanted.len();
        session.next_epoch = session.next_epoch.checked_add(1).unwrap_or(1);
        session.last_used = now;
        let (session_id, wanted, first) = (request.session_id, session.wanted.clone(), session.first);
        Ok(Begun { session_id, wanted, first, incremental: true })
    }

    /// Drops from `answers` (one for each of `begun.wanted`, in that order) what the consumer knows already, and
    /// remembers what it is told now. Returns those that are left, each with the place of what it answers.
    pub fn end(&self, begun: &Begun, answers: Vec<PartitionData>) -> Vec<(usize, PartitionData)> {
        let mut left: Vec<(usize, PartitionData)> = answers.into_iter().enumerate().collect();
        if begun.session_id == 0 {
            return left;
        }
        if begun.incremental {
            left.retain(|(at, answer)| begun.wanted[*at].is_news(answer));
        }
        let mut cache = self.lock();
        let Some(session) = cache.sessions.get_mut(&begun.session_id) else { return left };
        let wanted = Arc::make_mut(&mut session.wanted);
        for (at, answer) in &left {
            let place = session.places.get(&begun.wanted[*at].key()).and_then(|place| wanted.get_mut(*place));
            if let Some(wanted) = place {
                wanted.told = (answer.error_code == 0).then_some((answer.high_watermark, answer.log_start_offset));
            }
            if has_records(answer) {
                session.first = at + 1;
            }
        }
        left
    }

    fn free_id(&self, cache: &Cache) -> i32 {
        loop {
            let id = (self.random.u64() >> 33) as i32;
            if id > 0 && !cache.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.wanted.len();
        }
    }

    /// Whether there is room for one more session of `partitions`, after the most silent ones made it if they may.
    fn make_room(&mut self, partitions: usize, now: Duration) -> bool {
        while self.sessions.len() >= Limits::FETCH_SESSIONS_MAX || self.partitions + partitions > PARTITIONS_MAX {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.last_used);
            match oldest.map(|(id, session)| (*id, session.last_used)) {
                Some((id, last_used)) if now.saturating_sub(last_used) > SILENCE => self.remove(id),
                _ => return false,
            }
        }
        true
    }
}

impl Session {
    /// Takes in what a request changes.
    fn update(&mut self, request: &FetchRequest, by_id: bool) {
        if request.topics.is_empty() && request.forgotten_topics_data.is_empty() {
            return;
        }
        let wanted = Arc::make_mut(&mut self.wanted);
        for new in named(request, by_id) {
            match self.places.get(&new.key()) {
                Some(at) => wanted[*at].asked = new.asked,
                None => {
                    self.places.insert(new.key(), wanted.len());
                    wanted.push(new);
                }
            }
        }
        for topic in &request.forgotten_topics_data {
            let key = key(&topic.topic, topic.topic_id, by_id);
            for partition in &topic.partitions {
                if let Some(at) = self.places.remove(&(key.clone(), *partition)) {
                    wanted.swap_remove(at);
                    if let Some(moved) = wanted.get(at) {
                        self.places.insert(moved.key(), at);
                    }
                }
            }
        }
    }
}

impl Wanted {
    fn key(&self) -> (TopicKey, i32) {
        (self.topic.clone(), self.asked.partition)
    }

    fn is_news(&self, answer: &PartitionData) -> bool {
        answer.error_code != 0
            || has_records(answer)
            || answer.diverging_epoch.epoch >= 0
            || self.told != Some((answer.high_watermark, answer.log_start_offset))
    }
}

fn has_records(answer: &PartitionData) -> bool {
    answer.records.as_ref().is_some_and(|records| !records.is_empty())
}

fn key(name: &str, id: Uuid, by_id: bool) -> TopicKey {
    if by_id { TopicKey::Id(id) } else { TopicKey::Name(name.into()) }
}

/// The partitions that a request names.
fn named(request: &FetchRequest, by_id: bool) -> Vec<Wanted> {
    let of_topic = |topic: &crate::kafka::messages::fetch::FetchTopic| {
        let key = key(&topic.topic, topic.topic_id, by_id);
        let wanted = move |asked: &FetchPartition| Wanted { topic: key.clone(), asked: asked.clone(), told: None };
        topic.partitions.iter().map(wanted).collect::<Vec<_>>()
    };
    request.topics.iter().flat_map(of_topic).collect()
}

#[cfg(test)]
mod tests;
