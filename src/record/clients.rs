//! Agreement with batches that real clients wrote, kept in `tests/fixtures/batches`: the same four records from Kafka's
//! Java client 4.3.1 and from librdkafka 2.16.0, in every codec, as a Kafka broker stored them at offset 0.
use bytes::Bytes;

use super::testing::*;
use super::*;

macro_rules! fixtures {
    ($($client:literal, $codec:literal;)*) => {
        [$(($client, $codec, include_bytes!(concat!("../../tests/fixtures/batches/", $client, "-", $codec, ".bin")) as &[u8])),*]
    };
}

const FIXTURES: [(&str, &str, &[u8]); 10] = fixtures! {
    "java-4.3.1", "none";
    "java-4.3.1", "gzip";
    "java-4.3.1", "snappy";
    "java-4.3.1", "lz4";
    "java-4.3.1", "zstd";
    "librdkafka-2.16.0", "none";
    "librdkafka-2.16.0", "gzip";
    "librdkafka-2.16.0", "snappy";
    "librdkafka-2.16.0", "lz4";
    "librdkafka-2.16.0", "zstd";
};

/// What both clients were given; the last value is of several chunks and blocks where it is compressed.
fn given(codec: Codec) -> Vec<Record> {
    let record = |offset, timestamp, key: Option<&'static [u8]>, value: Option<Bytes>| Record {
        offset,
        timestamp,
        timestamp_type: TimestampType::Create,
        leader_epoch: 0,
        key: key.map(Bytes::from_static),
        value,
        headers: Vec::new(),
    };
    let long = if codec == Codec::None { "short".to_owned() } else { "a line that repeats itself\n".repeat(1500) };
    let headers = [
        Header::new(b"trace", Some(b"a1")),
        Header::new(b"trace", None),
        Header::new("é".as_bytes(), Some(b"")),
        Header::new(b"", Some(b"\x80")),
    ];
    vec![
        Record { headers: headers.into(), ..record(0, 1_700_000_000_123, Some(b"k"), Some("hello".into())) },
        record(1, 5, None, Some("".into())),
        record(2, 1_700_000_000_124, Some(b""), None),
        record(3, 1_700_000_000_122, Some(b"\xff\x00\xfe"), Some(long.into())),
    ]
}

#[test]
fn batches_of_real_clients_are_accepted_and_read_exactly() {
    for (client, codec, bytes) in FIXTURES {
        let codec: Codec = codec.parse().unwrap();
        let batch = Bytes::from_static(bytes);
        let checked = check(&batch, &lenient()).unwrap_or_else(|e| panic!("{client} {codec}: {e}"));
        assert_eq!(checked.header.codec(), codec, "{client}");
        assert_eq!((checked.max_timestamp, checked.offset_delta_of_max_timestamp), (1_700_000_000_124, 2));
        assert_eq!(checked.header, BatchHeader::parse(&batch).unwrap(), "{client} {codec}: true max timestamp");
        assert_eq!(read(&batch).unwrap(), given(codec), "{client} {codec}");
    }
}

/// The same bytes, where nobody's compressor has a say.
#[test]
fn what_we_write_uncompressed_is_what_real_clients_write() {
    for (client, codec, bytes) in FIXTURES {
        if codec != "none" {
            continue;
        }
        let header = BatchHeader::parse(bytes).unwrap();
        let (id, epoch, base_sequence) = (header.producer_id, header.producer_epoch, header.base_sequence);
        let mut builder = BatchBuilder::new();
        builder.set_producer(Producer { id, epoch, base_sequence });
        for record in given(Codec::None) {
            assert_eq!(builder.push(&record.as_ref()).unwrap(), Pushed::Added);
        }
        assert_eq!(builder.finish(Codec::None, None).unwrap(), bytes, "{client}");
    }
}
