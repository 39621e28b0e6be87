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
