//! Framing, pipelining, order, terms and stopping, with a service that echoes.
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::connection::*;
use super::intake::Received;
use super::outlet::Response;
use super::*;
use crate::kafka::messages::wire::{Wire, Writer};

/// Answers each request with its own bytes; the first byte says how.
#[derive(Default)]
struct Echo {
    /// What `LATER` and `ALONE` wait for, one notification each.
    go: Notify,
    started: Mutex<Vec<u8>>,
    starts: AtomicUsize,
    fenced: Mutex<Option<String>>,
}

const DONE: u8 = 0;
const LATER: u8 = 1;
const ALONE: u8 = 2;
const SILENT: u8 = 3;
const HANGUP: u8 = 4;

fn echo(frame: Bytes) -> Answer {
    let mut writer = Writer::new(0, false);
    0i32.write(&mut writer);
    crate::kafka::messages::wire::Records(vec![frame]).write(&mut writer);
    Ok(Some(Response { frame: writer.finish_with_length().unwrap(), permit: None }))
}

impl Service for Echo {
    fn start(self: &Arc<Self>, request: Received) -> Step {
        let frame = request.frame;
        self.started.lock().unwrap().push(frame[1]);
        self.starts.fetch_add(1, Ordering::SeqCst);
        let (mode, service, permit) = (frame[0], self.clone(), request.permit);
        let answering = |frame: Bytes| -> Answering {
            Box::pin(async move {
                service.go.notified().await;
                drop(permit);
                echo(frame)
            })
        };
        match mode {
            DONE => Step::Done(echo(frame)),
            LATER => Step::Later(answering(frame)),
            ALONE => Step::Alone(answering(frame)),
            SILENT => Step::Done(Ok(None)),
            _ => Step::Done(Err(Hangup("nonsense".to_owned()))),
        }
    }

    fn may_answer(self: &Arc<Self>) -> MayAnswer {
        let fenced = self.fenced.lock().unwrap().clone();
        Box::pin(async move { fenced.map_or(Ok(()), Err) })
    }
}

/// A server on a free port, with a client connected to it.
struct Setup {
    service: Arc<Echo>,
    acceptor: Acceptor,
    stop: Stop,
    server: tokio::task::JoinHandle<()>,
    address: std::net::SocketAddr,
}

impl Setup {
    async fn new() -> Self {
        Self::with_tick(Duration::from_secs(5)).await
    }

    async fn with_tick(tick: Duration) -> Self {
        let limits = Limits::new(0);
        let mut acceptor = Acceptor::new(&limits, Responses::new(2 << 20), &Metrics::new());
        acceptor.terms.tick = tick;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (service, stop) = (Arc::new(Echo::default()), Stop::new());
        let (accepting, serving, stopping) = (acceptor.clone(), service.clone(), stop.clone());
        let server = tokio::spawn(async move { accepting.run(listener, serving, stopping).await });
        Self { service, acceptor, stop, server, address }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn until_started(&self, count: usize) {
        while self.service.starts.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A request of `length` bytes: how it is answered, its number, zeros.
fn request(mode: u8, number: u8, length: usize) -> Vec<u8> {
    let mut bytes = (length as u32).to_be_bytes().to_vec();
    bytes.extend([mode, number]);
    bytes.resize(4 + length, 0);
    bytes
}

/// The number of the request that the next answer echoes, and its length.
async fn answer(stream: &mut TcpStream) -> (u8, usize) {
    let outer = stream.read_i32().await.unwrap();
    let inner = stream.read_i32().await.unwrap();
    assert_eq!(outer, inner + 4);
    let mut echoed = vec![0; inner as usize];
    stream.read_exact(&mut echoed).await.unwrap();
    (echoed[1], echoed.len())
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_u8()).await.expect("closed in time");
    read.is_err()
}

#[tokio::test]
async fn answers_leave_in_the_order_of_the_requests_however_they_become_ready() {
    let setup = Setup::new().await;
    let mut client = setup.connect().await;
    let modes = [LATER, DONE, LATER, SILENT, DONE];
    let all: Vec<u8> = modes.iter().zip(0..).flat_map(|(&mode, n)| request(mode, n, 100 + n as usize)).collect();
    client.write_all(&all).await.unwrap();
    setup.until_started(5).await;
    setup.service.go.notify_one();
    setup.service.go.notify_one();
    for n in [0, 1, 2, 4] {
        assert_eq!(answer(&mut client).await, (n, 100 + n as usize));
    }
}

#[tokio::test]
async fn requests_arrive_whole_however_their_bytes_are_cut() {
    let setup = Setup::new().await;
    let mut client = setup.connect().await;
    let sizes = [8, 9, 5000, 70_000, 3 << 20, 20];
    let all: Vec<u8> = sizes.iter().zip(0..).flat_map(|(&size, n)| request(DONE, n, size)).collect();
    let (mut read, mut write) = client.split();
    let writing = async {
        let mut rest = &all[..];
        for cut in [1, 2, 3, 5, 11, 4096, 7, 100_000].iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            write.write_all(now).await.unwrap();
            write.flush().await.unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
    };
    let reading = async {
        for (&size, n) in sizes.iter().zip(0..) {
            let length = read.read_i32().await.unwrap();
            let mut frame = vec![0; length as usize];
            read.read_exact(&mut frame).await.unwrap();
            assert_eq!((frame[5], frame.len()), (n, size + 4));
        }
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn nothing_is_started_behind_a_request_that_wants_to_be_alone() {
    let setup = Setup::new().await;
    let mut client = setup.connect().await;
    client.write_all(&[request(ALONE, 0, 50), request(DONE, 1, 50)].concat()).await.unwrap();
    setup.until_started(1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(setup.service.started.lock().unwrap()[..], [0]);
    setup.service.go.notify_one();
    assert_eq!(answer(&mut client).await.0, 0);
    assert_eq!(answer(&mut client).await.0, 1);
}

#[tokio::test]
async fn a_pipeline_has_a_bound_and_goes_on_when_answers_leave() {
    let setup = Setup::new().await;
    let mut client = setup.connect().await;
    let count = Limits::PIPELINE_MAX + 10;
    let all: Vec<u8> = (0..count).flat_map(|n| request(LATER, n as u8, 30)).collect();
    client.write_all(&all).await.unwrap();
    setup.until_started(Limits::PIPELINE_MAX).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(setup.service.starts.load(Ordering::SeqCst), Limits::PIPELINE_MAX);
    for n in 0..count {
        setup.service.go.notify_one();
        assert_eq!(answer(&mut client).await.0, n as u8);
    }
}

#[tokio::test]
async fn a_request_waits_for_its_share_of_the_budget_before_its_body_is_read() {
    let setup = Setup::new().await;
    let budget = setup.acceptor.terms.requests.clone();
    let most = setup.acceptor.terms.request_max;
    assert_eq!(most as u64, budget.capacity(), "the smallest memory makes the budget the limit");
    let (mut first, mut second) = (setup.connect().await, setup.connect().await);
    first.write_all(&request(LATER, 1, most)).await.unwrap();
    setup.until_started(1).await;
    second.write_all(&request(DONE, 2, 5000)).await.unwrap();
    while budget.waiters() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(setup.service.starts.load(Ordering::SeqCst), 1);
    setup.service.go.notify_one();
    assert_eq!(answer(&mut second).await, (2, 5000));
    assert_eq!(answer(&mut first).await, (1, most));
}

#[tokio::test]
async fn impossible_lengths_close_the_connection_and_harm_nobody_else() {
    let setup = Setup::new().await;
    let mut good = setup.connect().await;
    for length in [-1, i32::MIN, 0, 7, i32::MAX, setup.acceptor.terms.request_max as i32 + 1] {
        let mut bad = setup.connect().await;
        bad.write_all(&request(DONE, 9, 40)).await.unwrap();
        bad.write_all(&length.to_be_bytes()).await.unwrap();
        assert_eq!(answer(&mut bad).await.0, 9, "what came before is answered");
        assert!(is_closed(&mut bad).await, "{length}");
    }
    let mut half = setup.connect().await;
    half.write_all(&request(DONE, 1, 1000)[..500]).await.unwrap();
    drop(half);
    good.write_all(&request(DONE, 1, 50)).await.unwrap();
    assert_eq!(answer(&mut good).await.0, 1);
    while setup.acceptor.open.get() > 1 || setup.acceptor.terms.requests.in_use() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_hangup_comes_after_the_answers_before_it() {
    let setup = Setup::new().await;
    let mut client = setup.connect().await;
    client.write_all(&[request(LATER, 0, 50), request(HANGUP, 1, 50), request(DONE, 2, 50)].concat()).await.unwrap();
    setup.until_started(3).await;
    setup.service.go.notify_one();
    assert_eq!(answer(&mut client).await.0, 0);
    assert!(is_closed(&mut client).await);
}

#[tokio::test]
async fn a_fenced_broker_answers_nothing() {
    let setup = Setup::new().await;
    let mut client = setup.connect().await;
    *setup.service.fenced.lock().unwrap() = Some("broker 2 took over".to_owned());
    client.write_all(&request(DONE, 0, 50)).await.unwrap();
    assert!(is_closed(&mut client).await);
}

#[tokio::test]
async fn a_stop_answers_what_was_started_and_then_closes() {
    let setup = Setup::new().await;
    let (mut busy, mut idle) = (setup.connect().await, setup.connect().await);
    busy.write_all(&request(LATER, 0, 50)).await.unwrap();
    setup.until_started(1).await;
    idle.write_all(&request(DONE, 1, 50)).await.unwrap();
    assert_eq!(answer(&mut idle).await.0, 1);
    setup.stop.stop();
    assert!(is_closed(&mut idle).await);
    busy.write_all(&request(DONE, 2, 50)).await.unwrap();
    setup.service.go.notify_one();
    assert_eq!(answer(&mut busy).await.0, 0);
    assert!(is_closed(&mut busy).await);
    setup.server.await.unwrap();
    assert!(TcpStream::connect(setup.address).await.is_err());
}

#[tokio::test]
async fn silent_and_stuck_clients_lose_their_connection() {
    let setup = Setup::with_tick(Duration::from_millis(5)).await;
    let mut idle = setup.connect().await;
    let mut half = setup.connect().await;
    half.write_all(&request(DONE, 0, 5000)[..100]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(setup.acceptor.open.get(), 2, "patience is long while nobody waits for memory");
    assert!(is_closed(&mut idle).await && is_closed(&mut half).await);
}

#[tokio::test]
async fn a_stuck_client_loses_its_connection_soon_when_others_wait_for_its_memory() {
    let setup = Setup::with_tick(Duration::from_millis(100)).await;
    let most = setup.acceptor.terms.request_max;
    let mut slow = setup.connect().await;
    slow.write_all(&request(DONE, 0, most)[..100_000]).await.unwrap();
    while setup.acceptor.terms.requests.in_use() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut other = setup.connect().await;
    other.write_all(&request(DONE, 1, 5000)).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(5), answer(&mut other)).await;
    assert_eq!(waited.unwrap(), (1, 5000), "long before 120 ticks");
    assert!(is_closed(&mut slow).await);
}
