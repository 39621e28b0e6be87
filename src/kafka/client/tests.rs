//! The client against a scripted broker.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::kafka::messages::{RequestHeader, decode_request, encode_response};

async fn read_frame(stream: &mut TcpStream) -> Bytes {
    let length = stream.read_i32().await.unwrap();
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await.unwrap();
    frame.into()
}

async fn answer<R: Request>(stream: &mut TcpStream, make: impl FnOnce(R) -> R::Response) {
    let frame = read_frame(stream).await;
    let header = RequestHeader::peek(&frame).unwrap();
    assert_eq!(header.api_key, R::API as i16);
    let response = make(decode_request(frame).unwrap());
    let frame = encode_response::<R>(header.api_version, header.correlation_id, &response).unwrap();
    stream.write_all(&frame.to_bytes()).await.unwrap();
}

/// Says that it speaks `ranges`.
async fn greet(stream: &mut TcpStream, ranges: &[(Api, i16, i16)]) {
    answer(stream, |_: api_versions::ApiVersionsRequest| api_versions::ApiVersionsResponse {
        api_keys: ranges
            .iter()
            .map(|&(api, min_version, max_version)| api_versions::ApiVersion {
                api_key: api as i16,
                min_version,
                max_version,
            })
            .collect(),
        ..Default::default()
    })
    .await;
}

/// A broker that runs `script` on its first connection.
async fn broker<F: Future<Output = ()> + Send + 'static>(
    script: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(stream).await;
    });
    address
}

async fn connect(address: &str) -> Result<Client, ClientError> {
    Client::connect(address, ClientOptions { timeout: Duration::from_secs(5), ..Default::default() }).await
}

#[tokio::test]
async fn the_highest_version_of_both_is_spoken_and_a_missing_one_is_named() {
    let address = broker(|mut stream| async move {
        greet(&mut stream, &[(Api::Metadata, 0, 7), (Api::CreateTopics, 0, 1)]).await;
        let frame = read_frame(&mut stream).await;
        assert_eq!(RequestHeader::peek(&frame).unwrap().api_version, 7);
    })
    .await;
    let client = connect(&address).await.unwrap();
    let error = client.create_topic("t", None, &BTreeMap::new()).await.unwrap_err();
    assert!(error.to_string().contains("does not speak CreateTopics"), "{error}");
    let error = client.topics(None, false).await.unwrap_err();
    assert!(error.to_string().contains("the broker closed it"), "{error}");
}

#[tokio::test]
async fn overlapping_calls_get_their_own_answers() {
    let address = broker(|mut stream| async move {
        greet(&mut stream, &[(Api::ListOffsets, 1, 10)]).await;
        for _ in 0..20 {
            answer(&mut stream, |request: list_offsets::ListOffsetsRequest| {
                let asked = &request.topics[0].partitions[0];
                let found = list_offsets::ListOffsetsPartitionResponse {
                    partition_index: asked.partition_index,
                    offset: asked.timestamp * 10,
                    ..Default::default()
                };
                let topic = list_offsets::ListOffsetsTopicResponse { name: "t".into(), partitions: vec![found] };
                list_offsets::ListOffsetsResponse { topics: vec![topic], ..Default::default() }
            })
            .await;
        }
    })
    .await;
    let client = connect(&address).await.unwrap();
    let calls = (0..20).map(|n| client.list_offsets("t", std::slice::from_ref(&7), n, false));
    // `join_all` keeps the order of the calls.
    let offsets = futures::future::join_all(calls).await;
    for (n, found) in offsets.into_iter().enumerate() {
        assert_eq!(found.unwrap(), [Found { partition: 7, offset: n as i64 * 10, timestamp: -1 }]);
    }
}

#[tokio::test]
async fn a_refusal_carries_the_name_the_code_and_the_brokers_words() {
    let address = broker(|mut stream| async move {
        greet(&mut stream, &[(Api::CreateTopics, 2, 7)]).await;
        answer(&mut stream, |request: create_topics::CreateTopicsRequest| create_topics::CreateTopicsResponse {
            topics: vec![create_topics::CreatableTopicResult {
                name: request.topics[0].name.clone(),
                error_code: 36,
                error_message: Some("topic 'a' already exists".into()),
                ..Default::default()
            }],
            ..Default::default()
        })
        .await;
    })
    .await;
    let client = connect(&address).await.unwrap();
    let error = client.create_topic("a", Some(3), &BTreeMap::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "topic 'a': topic 'a' already exists (TOPIC_ALREADY_EXISTS)");
}

#[tokio::test]
async fn no_broker_and_no_kafka_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    assert!(connect(&address).await.unwrap_err().to_string().contains("is `esker serve` running"));

    let address = broker(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    assert!(connect(&address).await.unwrap_err().to_string().contains("is this a Kafka port?"));
}
