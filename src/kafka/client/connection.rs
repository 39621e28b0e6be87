//! One connection of the client: requests go out as they come, answers come back in the same order.
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{ClientError, ClientOptions};
use crate::kafka::messages::{Request, decode_response, encode_request};

/// Largest answer that is accepted: Kafka's own `fetch.max.bytes` is half of it.
const ANSWER_BYTES_MAX: usize = 100 << 20;

/// A connection. Calls may overlap; dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    address: String,
    options: ClientOptions,
    writer: tokio::sync::Mutex<Writer>,
    waiting: Arc<Waiting>,
    reader: JoinHandle<()>,
}

#[derive(Debug)]
struct Writer {
    stream: OwnedWriteHalf,
    next_id: i32,
}

/// Calls without an answer, in the order in which they were sent; and why there will be no more answers.
#[derive(Debug, Default)]
struct Waiting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: VecDeque<(i32, oneshot::Sender<Bytes>)>,
    broken: Option<String>,
}

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, reason: String) {
        let mut state = self.lock();
        state.broken.get_or_insert(reason);
        state.calls.clear();
    }
}

impl Connection {
    /// Connects.
    pub async fn open(address: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect { address: address.to_owned(), source };
        let connecting = tokio::time::timeout(options.timeout, TcpStream::connect(address));
        let stream = connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (read, write) = stream.into_split();
        let waiting = Arc::new(Waiting::default());
        let reader = tokio::spawn(read_answers(read, waiting.clone()));
        let writer = tokio::sync::Mutex::new(Writer { stream: write, next_id: 0 });
        Ok(Self { address: address.to_owned(), options, writer, waiting, reader })
    }

    /// Where it goes.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How it was opened.
    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// How long an answer may take, as requests carry it.
    pub fn timeout_ms(&self) -> i32 {
        i32::try_from(self.options.timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// An answer without what was asked for.
    pub fn incomplete<R: Request>(&self) -> ClientError {
        ClientError::Broken {
            address: self.address.clone(),
            reason: format!("the answer to {} says nothing of what was asked", R::API.name()),
        }
    }

    /// Sends a request and waits for its answer, no longer than `timeout`.
    pub async fn call<R: Request>(
        &self,
        version: i16,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let api = R::API.name();
        let answer = tokio::time::timeout(timeout, self.exchange(version, request)).await;
        let answer = answer.map_err(|_| ClientError::TimedOut {
            address: self.address.clone(),
            api,
            seconds: timeout.as_secs(),
        })??;
        let (_, response) =
            decode_response::<R>(version, answer).map_err(|source| ClientError::Decode { api, source })?;
        Ok(response)
    }

    async fn exchange<R: Request>(&self, version: i16, request: &R) -> Result<Bytes, ClientError> {
        let (tell, told) = oneshot::channel();
        {
            let mut writer = self.writer.lock().await;
            let id = writer.next_id;
            writer.next_id = id.wrapping_add(1);
            let frame = encode_request(version, id, &self.options.client_id, request)
                .map_err(|source| ClientError::Encode { api: R::API.name(), source })?;
            {
                let mut state = self.waiting.lock();
                if let Some(reason) = &state.broken {
                    return Err(self.broken(reason.clone()));
                }
                state.calls.push_back((id, tell));
            }
            // A caller that gives up half-way through a request leaves a connection that nobody can use.
            let cut = CutOff(&self.waiting);
            for piece in frame.pieces() {
                writer.stream.write_all(piece).await.map_err(|error| self.broken(error.to_string()))?;
            }
            std::mem::forget(cut);
        }
        told.await.map_err(|_| {
            let reason = self.waiting.lock().broken.clone();
            self.broken(reason.unwrap_or_else(|| "closed".to_owned()))
        })
    }

    fn broken(&self, reason: String) -> ClientError {
        ClientError::Broken { address: self.address.clone(), reason }
    }
}

/// Breaks the connection when dropped.
struct CutOff<'a>(&'a Waiting);

impl Drop for CutOff<'_> {
    fn drop(&mut self) {
        self.0.fail("a request was not sent whole".to_owned());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Hands each answer to the call that waits for it, until the connection breaks.
async fn read_answers(mut stream: OwnedReadHalf, waiting: Arc<Waiting>) {
    loop {
        let answer = match read_answer(&mut stream).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return waiting.fail("the broker closed it".to_owned());
            }
            Err(error) => return waiting.fail(error.to_string()),
        };
        let id = answer.first_chunk().map(|id| i32::from_be_bytes(*id));
        let call = waiting.lock().calls.pop_front();
        match (id, call) {
            // The caller may have given up; its answer is read all the same.
            (Some(id), Some((expected, tell))) if id == expected => drop(tell.send(answer)),
            _ => return waiting.fail("an answer to a request that was not sent".to_owned()),
        }
    }
}

async fn read_answer(stream: &mut OwnedReadHalf) -> io::Result<Bytes> {
    let length = usize::try_from(stream.read_i32().await?).unwrap_or(usize::MAX);
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "an answer of impossible length; is this a Kafka port?",
        ));
    }
    let mut answer = BytesMut::with_capacity(length);
    while answer.len() < length {
        let rest = length - answer.len();
        if stream.read_buf(&mut bytes::BufMut::limit(&mut answer, rest)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(answer.freeze())
}
