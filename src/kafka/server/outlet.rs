//! Answers onto a socket: in order, with vectored writes straight from where the bytes lie.
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use crate::base::BytePermit;
use crate::kafka::messages::wire::Frame;

/// Parts that go out in one system call.
const SLICES: usize = 64;

/// An answer that may leave.
#[derive(Debug)]
pub struct Response {
    /// Its bytes, with the length before them.
    pub frame: Frame,
    /// Its share of the response budget, if it has one; returned when the last byte is with the kernel.
    pub permit: Option<BytePermit>,
}

/// The answers of one connection.
#[derive(Debug, Default)]
pub struct Outlet {
    pieces: VecDeque<(Bytes, Option<BytePermit>)>,
    waiting: usize,
    sent: u64,
}

impl Outlet {
    /// Puts an answer behind the others.
    pub fn push(&mut self, response: Response) {
        self.waiting += response.frame.len();
        self.pieces.extend(response.frame.into_pieces().into_iter().map(|piece| (piece, None)));
        if let Some((_, permit)) = self.pieces.back_mut() {
            *permit = response.permit;
        }
    }

    /// Bytes not yet with the kernel.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes written since the beginning.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Writes until nothing waits.
    pub fn poll_flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, (piece, _)) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        self.sent += written as u64;
        self.waiting -= written;
        while let Some((piece, _)) = self.pieces.front_mut() {
            if piece.len() > written {
                return piece.advance(written);
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }
}
