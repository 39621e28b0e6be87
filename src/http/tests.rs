use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A served front that is still starting, and its address.
async fn starting() -> (std::net::SocketAddr, Stop) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_, stage) = watch::channel(Stage::Starting("waiting for the bucket".to_owned()));
    let metrics = Metrics::new();
    metrics.counter("things", "Things that were counted");
    let stop = Stop::new();
    let front = Front { stage, metrics, store: "file:///tmp/x".into() };
    tokio::spawn(serve(listener, front, stop.clone()));
    (address, stop)
}

async fn ask(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let text = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_broker_that_starts_is_alive_and_not_ready_and_says_why() {
    let (address, stop) = starting().await;
    assert!(ask(address, "GET /healthz").await.starts_with("HTTP/1.1 200"));
    for path in ["GET /readyz", "GET /v1/broker", "GET /v1/segments?topic=t", "POST /v1/seal"] {
        let answer = ask(address, path).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("waiting for the bucket"), "{path}: {answer}");
    }
    let page = ask(address, "GET /metrics").await;
    assert!(page.contains("esker_things_total 0") && page.contains("application/openmetrics-text"), "{page}");
    stop.stop();
}

#[tokio::test]
async fn what_is_not_there_or_misspelled_is_refused() {
    let (address, _stop) = starting().await;
    assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 404"));
    assert!(ask(address, "GET /v1/seal").await.starts_with("HTTP/1.1 405"));
    assert!(ask(address, "GET /v1/segments?tpoic=t").await.starts_with("HTTP/1.1 400"));
    assert!(ask(address, "POST /v1/seal?topic=t&partition=1").await.starts_with("HTTP/1.1 400"));
}

/// A served front over a log with one topic of two partitions.
async fn serving(folder: &std::path::Path) -> (std::net::SocketAddr, Log) {
    let log = Log::open(crate::log::Options::new(folder), crate::log::Env::embedded()).await.unwrap();
    let settings = std::collections::BTreeMap::new();
    log.create_topic(crate::log::NewTopic { name: "t".to_owned(), partitions: Some(2), settings }).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_, stage) = watch::channel(Stage::Serving(log.clone()));
    tokio::spawn(serve(listener, Front { stage, metrics: Metrics::new(), store: "file:///b".into() }, Stop::new()));
    (address, log)
}

/// The body of an answer with this status.
fn body<T: serde::de::DeserializeOwned>(answer: &str, status: u16) -> T {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serving_broker_tells_who_it_is_what_lies_where_and_seals() {
    use crate::record::{BatchBuilder, Codec, Record};
    let folder = tempfile::tempdir().unwrap();
    let (address, log) = serving(folder.path()).await;
    assert!(ask(address, "GET /readyz").await.starts_with("HTTP/1.1 200"));
    let about: About = body(&ask(address, "GET /v1/broker").await, 200);
    assert_eq!((about.store.as_str(), about.epoch, about.cluster_id), ("file:///b", 1, log.cluster_id().to_string()));

    let mut batch = BatchBuilder::new();
    let _ = batch.push(&Record { value: Some("v".into()), ..Record::default() }.as_ref()).unwrap();
    let batch = batch.finish(Codec::None, None).unwrap();
    log.partition("t", 1).unwrap().append(batch, None).unwrap().durable().await.unwrap();
    let before: Vec<PartitionLayout> = body(&ask(address, "GET /v1/segments?topic=t&partition=1").await, 200);
    assert_eq!((before.len(), before[0].high_watermark, before[0].sealed_end), (1, 1, 0));
    let sealed: Vec<PartitionLayout> = body(&ask(address, "POST /v1/seal?topic=t").await, 200);
    assert_eq!((sealed.len(), sealed[1].sealed_end, sealed[1].entries.len()), (2, 1, 1));

    assert!(ask(address, "GET /v1/segments?topic=t&partition=2").await.starts_with("HTTP/1.1 404"));
    for request in ["GET /v1/segments?topic=nope", "POST /v1/seal?topic=nope"] {
        let refused: status::Body = body(&ask(address, request).await, 404);
        assert!(refused.error.contains("'nope'"), "{}", refused.error);
    }
    log.stop().await;
}
