//! Requests off a socket: a length, a share of the request budget, then the body.
//!
//! The share is taken before the body is read, so that the requests of all connections together never take more memory
//! than the budget, whatever lengths they announce. A large body gets a buffer of exactly its size and is read straight
//! into it; small ones share a chunk that is read as full as the socket allows. A connection that waits for its next
//! request owns no buffer at all.
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::base::{ByteBudget, BytePermit};

/// Chunks for small requests: as large as the last request was, within these bounds.
const CHUNK_MIN: usize = 4 << 10;
const CHUNK_MAX: usize = 64 << 10;
/// Less room than this in a chunk is not worth a system call.
const ROOM_MIN: usize = 512;
/// The shortest request: key, version and correlation id.
const REQUEST_MIN: usize = 8;

/// A request as it came in.
#[derive(Debug)]
pub struct Received {
    /// Its bytes, without the length before them.
    pub frame: Bytes,
    /// Its share of the request budget.
    pub permit: BytePermit,
    /// Address of the client.
    pub peer: IpAddr,
}

/// Why no more requests come from a connection.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The client closed it, between two requests.
    #[error("the client closed the connection")]
    Closed,
    /// The client closed it in the middle of a request.
    #[error("the client closed the connection in the middle of a request")]
    HalfRequest,
    /// A length that no request has.
    #[error("a request of {length} bytes was announced; {REQUEST_MIN} to {max} are possible")]
    Length {
        /// What was announced.
        length: i32,
        /// The limit.
        max: usize,
    },
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The requests of one connection.
pub struct Intake {
    /// What was read and not yet handed out; without the length when a body is being read.
    buffer: BytesMut,
    need: Need,
    budget: ByteBudget,
    request_max: usize,
    peer: IpAddr,
    last_length: usize,
    received: u64,
}

/// What comes next.
enum Need {
    Length,
    Permit(usize, Pin<Box<dyn Future<Output = BytePermit> + Send>>),
    Body(usize, BytePermit),
}

impl Intake {
    /// Requests of `peer`, of up to `request_max` bytes, each with a share of `budget`.
    pub fn new(budget: ByteBudget, request_max: usize, peer: IpAddr) -> Self {
        Self { buffer: BytesMut::new(), need: Need::Length, budget, request_max, peer, last_length: 0, received: 0 }
    }

    /// Bytes read since the beginning.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether the client owes the rest of a request. (While a share of the budget is awaited, it does not.)
    pub fn is_midway(&self) -> bool {
        match self.need {
            Need::Length => !self.buffer.is_empty(),
            Need::Permit(..) => false,
            Need::Body(..) => true,
        }
    }

    /// The next request.
    pub fn poll_next<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Received, IntakeError>> {
        loop {
            self.need = match std::mem::replace(&mut self.need, Need::Length) {
                Need::Length if self.buffer.len() >= 4 => {
                    let length = self.take_length()?;
                    match self.budget.try_acquire(length as u64) {
                        Some(permit) => Need::Body(length, permit),
                        None => {
                            let budget = self.budget.clone();
                            Need::Permit(length, Box::pin(async move { budget.acquire(length as u64).await }))
                        }
                    }
                }
                Need::Permit(length, mut waiting) => match waiting.as_mut().poll(cx) {
                    Poll::Ready(permit) => Need::Body(length, permit),
                    Poll::Pending => {
                        self.need = Need::Permit(length, waiting);
                        return Poll::Pending;
                    }
                },
                Need::Body(length, permit) if self.buffer.len() >= length => {
                    self.last_length = length;
                    let frame = self.buffer.split_to(length).freeze();
                    return Poll::Ready(Ok(Received { frame, permit, peer: self.peer }));
                }
                more => {
                    self.need = more;
                    ready!(self.poll_fill(stream, cx))?;
                    continue;
                }
            };
        }
    }

    fn take_length(&mut self) -> Result<usize, IntakeError> {
        let length = self.buffer.get_i32();
        match usize::try_from(length) {
            Ok(fits) if (REQUEST_MIN..=self.request_max).contains(&fits) => Ok(fits),
            _ => Err(IntakeError::Length { length, max: self.request_max }),
        }
    }

    /// Reads something; errors at the end of the stream.
    fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), IntakeError>> {
        self.make_room();
        match pin!(stream.read_buf(&mut self.buffer)).poll(cx) {
            Poll::Ready(Ok(0)) if self.buffer.is_empty() && matches!(self.need, Need::Length) => {
                Poll::Ready(Err(IntakeError::Closed))
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(IntakeError::HalfRequest)),
            Poll::Ready(Ok(count)) => {
                self.received += count as u64;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => {
                if self.buffer.is_empty() && matches!(self.need, Need::Length) {
                    self.buffer = BytesMut::new();
                }
                Poll::Pending
            }
        }
    }

    /// Room for the rest of a body, or for a chunk. What is moved is at most a chunk.
    fn make_room(&mut self) {
        let chunk = (self.last_length + 4).next_power_of_two().clamp(CHUNK_MIN, CHUNK_MAX);
        let capacity = match self.need {
            Need::Body(length, _) if self.buffer.capacity() < length => length,
            Need::Length if self.buffer.capacity() - self.buffer.len() < ROOM_MIN => chunk,
            _ => return,
        };
        let mut larger = BytesMut::with_capacity(capacity);
        larger.extend_from_slice(&self.buffer);
        self.buffer = larger;
    }
}
