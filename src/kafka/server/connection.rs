//! One connection: requests are started in the order in which they come, overlap as far as they may, and are answered in
//! that same order.
//!
//! All of it is one task and one poll function: whatever wakes it, it takes in what came, moves what is answered to the
//! outlet, and writes. So an answer needs no hop between tasks, several answers leave in one write, and a client that
//! does not read stops being read from.
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior};

use super::Responses;
use super::intake::{Intake, IntakeError, Received};
use super::outlet::{Outlet, Response};
use crate::base::tasks::Stop;
use crate::base::{ByteBudget, Limits};

/// What becomes of a request: an answer, nothing (`acks=0`), or the end of the connection.
pub type Answer = Result<Option<Response>, Hangup>;
/// A check whether an answer may leave the process; an error is the reason why none may any more.
pub type MayAnswer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
/// An answer that is being made.
pub type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Why this side closes a connection.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Hangup(pub String);

/// How a request was taken in.
pub enum Step {
    /// It is answered already.
    Done(Answer),
    /// It is under way; the next one may be started.
    Later(Answering),
    /// It is under way, and the next one must not be started before it is answered.
    Alone(Answering),
}

/// Who answers requests.
pub trait Service: Send + Sync + 'static {
    /// Takes in a request. What must keep the order of the requests happens in here; what waits, in the future.
    fn start(self: &Arc<Self>, request: Received) -> Step;
    /// Asked before every write.
    fn may_answer(self: &Arc<Self>) -> MayAnswer;
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// The client closed it, or broke the protocol's framing.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The socket failed while writing.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// This side closed it.
    #[error(transparent)]
    Hangup(#[from] Hangup),
    /// Nothing came for ten minutes.
    #[error("nothing came for ten minutes")]
    Idle,
    /// The client did not go on with what it had begun.
    #[error("the client has not {0} for too long")]
    Stuck(&'static str),
    /// The broker stops, and everything is answered.
    #[error("the broker stops")]
    Stopped,
}

/// How often it is looked whether a client still moves.
pub const TICK: Duration = Duration::from_secs(5);
/// Ticks after which a connection without requests is closed (Kafka's `connections.max.idle.ms`), and one that does not
/// go on with what it began.
const PATIENCE_TICKS: u32 = 120;
/// The same while others wait for the memory that it holds.
const PATIENCE_WHILE_OTHERS_WAIT_TICKS: u32 = 6;
/// Bytes in a tick that count as going on.
const MOVED_MIN: u64 = 64 << 10;
/// Requests, and their bytes, that are started before others get their turn.
const TURN_REQUESTS: usize = 16;
const TURN_BYTES: usize = 2 << 20;
/// Answers are moved to the outlet while it holds less than this.
const OUTLET_BYTES: usize = 1 << 20;

/// What all connections share.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Requests that are received and not answered.
    pub requests: ByteBudget,
    /// Answers that are made and not sent.
    pub responses: Responses,
    /// Largest request in bytes.
    pub request_max: usize,
    /// How often it is looked whether a client still moves; [`TICK`] but in tests.
    pub tick: Duration,
}

/// A connection.
pub struct Connection<S> {
    stream: TcpStream,
    intake: Intake,
    outlet: Outlet,
    /// Requests that were started, oldest first.
    slots: VecDeque<Slot>,
    /// Whether the newest slot must be answered before the next request is started.
    alone: bool,
    /// Once set, no request is taken in any more; when what was started is answered, this is the end.
    ending: Option<End>,
    /// The check that must pass before the next write.
    fence: Option<MayAnswer>,
    service: Arc<S>,
    terms: Terms,
    ticks: Interval,
    reading: Movement,
    writing: Movement,
    idle_ticks: u32,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

enum Slot {
    Waiting(Answering),
    Ready(Answer),
}

/// How much moved in one direction, by ticks.
#[derive(Debug, Default)]
struct Movement {
    bytes: u64,
    moved: u64,
    ticks_still: u32,
}

impl Movement {
    /// Ticks in a row in which the client owed something and moved too little.
    fn tick(&mut self, bytes: u64, owes: bool) -> u32 {
        self.moved = bytes - self.bytes;
        self.bytes = bytes;
        self.ticks_still = if owes && self.moved < MOVED_MIN { self.ticks_still + 1 } else { 0 };
        self.ticks_still
    }
}

/// What one wake-up may still take in before other connections get their turn.
struct Turn {
    requests: usize,
    bytes: usize,
}

impl<S: Service> Connection<S> {
    /// A connection whose requests `service` answers.
    pub fn new(stream: TcpStream, service: Arc<S>, terms: Terms, stop: Stop) -> Self {
        let mut ticks = tokio::time::interval(terms.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let peer = stream.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip().to_canonical());
        Self {
            stream,
            intake: Intake::new(terms.requests.clone(), terms.request_max, peer),
            outlet: Outlet::default(),
            slots: VecDeque::new(),
            alone: false,
            ending: None,
            fence: None,
            service,
            terms,
            ticks,
            reading: Movement::default(),
            writing: Movement::default(),
            idle_ticks: 0,
            stopped: Box::pin(async move { stop.stopped().await }),
        }
    }

    /// Serves it to its end.
    pub async fn run(mut self) -> End {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        while self.ticks.poll_tick(cx).is_ready() {
            if let Err(end) = self.tick() {
                return Poll::Ready(end);
            }
        }
        if self.ending.is_none() && self.stopped.as_mut().poll(cx).is_ready() {
            self.ending = Some(End::Stopped);
        }
        let mut turn = Turn { requests: TURN_REQUESTS, bytes: TURN_BYTES };
        loop {
            self.poll_intake(cx, &mut turn);
            let answered = self.poll_answers(cx);
            let flushed = match self.poll_write(cx) {
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Ready(Ok(())) => true,
                Poll::Pending => false,
            };
            if flushed
                && self.slots.is_empty()
                && let Some(end) = self.ending.take()
            {
                return Poll::Ready(end);
            }
            // An answer may have made place for a request, and a write place for an answer.
            let more = flushed && matches!(self.slots.front(), Some(Slot::Ready(_)));
            if !answered && !more {
                return Poll::Pending;
            }
        }
    }

    fn wants_requests(&self) -> bool {
        self.ending.is_none() && !self.alone && self.slots.len() < Limits::PIPELINE_MAX
    }

    /// Starts requests while they come and there is a place for them.
    fn poll_intake(&mut self, cx: &mut Context<'_>, turn: &mut Turn) {
        while self.wants_requests() {
            if turn.requests == 0 || turn.bytes == 0 {
                return cx.waker().wake_by_ref();
            }
            match self.intake.poll_next(&mut self.stream, cx) {
                Poll::Pending => return,
                Poll::Ready(Err(error)) => self.ending = Some(error.into()),
                Poll::Ready(Ok(request)) => {
                    turn.requests -= 1;
                    turn.bytes = turn.bytes.saturating_sub(request.frame.len());
                    self.slots.push_back(match self.service.start(request) {
                        Step::Done(answer) => Slot::Ready(answer),
                        Step::Later(answering) => Slot::Waiting(answering),
                        Step::Alone(answering) => {
                            self.alone = true;
                            Slot::Waiting(answering)
                        }
                    });
                }
            }
        }
    }

    /// Moves answers to the outlet in the order of the requests. Returns whether there was one.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> bool {
        for slot in &mut self.slots {
            if let Slot::Waiting(answering) = slot
                && let Poll::Ready(answer) = answering.as_mut().poll(cx)
            {
                *slot = Slot::Ready(answer);
            }
        }
        let mut answered = false;
        while self.outlet.waiting() < OUTLET_BYTES && matches!(self.slots.front(), Some(Slot::Ready(_))) {
            answered = true;
            match self.slots.pop_front() {
                Some(Slot::Ready(Ok(Some(response)))) => self.outlet.push(response),
                Some(Slot::Ready(Err(hangup))) => {
                    self.ending = Some(hangup.into());
                    self.slots.clear();
                }
                _ => {}
            }
            self.alone &= !self.slots.is_empty();
        }
        answered
    }

    /// Writes what waits, once it may leave.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        if self.outlet.waiting() == 0 {
            return Poll::Ready(Ok(()));
        }
        let fence = self.fence.get_or_insert_with(|| self.service.may_answer());
        let may = ready!(fence.as_mut().poll(cx));
        self.fence = None;
        may.map_err(Hangup)?;
        Poll::Ready(ready!(self.outlet.poll_flush(&mut self.stream, cx)).map_err(End::from))
    }

    /// Looks whether the client still moves.
    fn tick(&mut self) -> Result<(), End> {
        let patience = |waiters: u64| match waiters {
            0 => PATIENCE_TICKS,
            _ => PATIENCE_WHILE_OTHERS_WAIT_TICKS,
        };
        let owes = self.wants_requests() && self.intake.is_midway();
        if self.reading.tick(self.intake.received(), owes) > patience(self.terms.requests.waiters()) {
            return Err(End::Stuck("sent the rest of its request"));
        }
        if self.writing.tick(self.outlet.sent(), self.outlet.waiting() > 0) > patience(self.terms.responses.waiters()) {
            return Err(End::Stuck("read its answers"));
        }
        let idle = self.slots.is_empty() && self.outlet.waiting() == 0 && !self.intake.is_midway();
        self.idle_ticks = if idle && self.reading.moved == 0 { self.idle_ticks + 1 } else { 0 };
        if self.idle_ticks > PATIENCE_TICKS { Err(End::Idle) } else { Ok(()) }
    }
}
