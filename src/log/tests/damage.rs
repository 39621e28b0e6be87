//! Records that the WAL lost: never served, never replaced by others.
use super::*;
use crate::wal::{self, fs::RealFs};

/// Changes a byte of the value in whichever WAL file holds it.
pub(super) fn hurt(place: &Place, value: &str) {
    restore(place, value.as_bytes());
}

/// The same of any bytes: what was changed comes back.
fn restore(place: &Place, value: &[u8]) {
    for file in std::fs::read_dir(place.options().data_dir.join("wal")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(value.len()).position(|window| window == value) {
            bytes[at] ^= 0x40;
            return std::fs::write(&path, bytes).unwrap();
        }
    }
    panic!("no WAL file holds {}", String::from_utf8_lossy(value));
}

/// Ends a log as a kill does, with a group behind the last record.
async fn kill(log: Log) {
    append(&log, "other", &[(1, "successor")]).await;
    log.0.core.fence.end("killed");
    let wal = log.0.core.wal.clone();
    drop(log);
    wal.close().unwrap();
}

pub(super) async fn accepted(place: &Place) -> Log {
    let mut options = place.options().wal;
    options.dir = place.options().data_dir.join("wal");
    for _ in 0..100 {
        match wal::accept_loss(std::sync::Arc::new(RealFs::new()), &options) {
            Ok(found) => {
                assert_eq!(found.len(), 1);
                return tiers::reopened(place).await;
            }
            Err(_locked) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("the directory stays locked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_whose_record_was_given_up_is_not_used_again() {
    let place = Place::new();
    let log = place.open().await;
    log.create_topic(new_topic("t")).await.unwrap();
    log.create_topic(new_topic("other")).await.unwrap();
    append(&log, "t", &[(1, "the first")]).await;
    assert_eq!(append(&log, "t", &[(2, "the last one")]).await.base_offset, 1);
    kill(log).await;
    hurt(&place, "the last one");

    let log = tiers::reopened(&place).await;
    let partition = log.partition("t", 0).unwrap();
    let refused = partition.append(batch(&[(3, "too early")]), None).unwrap_err();
    assert!(refused.to_string().contains("accept-loss"), "{refused}");
    let unread = partition.read(0, 1 << 20, true, Isolation::ReadUncommitted).await.unwrap_err();
    assert!(matches!(unread, ReadError::Damaged(_)), "{unread}");
    drop(partition);
    kill(log).await;

    let log = accepted(&place).await;
    assert!(
        log.start_report().lines.iter().any(|line| line.contains("accepted as lost")),
        "{:?}",
        log.start_report().lines
    );
    let partition = log.partition("t", 0).unwrap();
    let next = append(&log, "t", &[(4, "behind")]).await.base_offset;
    assert!(next >= 2, "offset {next} was acknowledged for another record");
    let expected = vec![(0, "the first".to_owned()), (next, "behind".to_owned())];
    assert_eq!(read_all(&partition, 0).await, expected);
    log.seal(None).await.unwrap();
    partition.state().hot.forget_below(u64::MAX, next + 1);
    assert_eq!(read_all(&partition, 0).await, expected, "sealed");
    assert!(log.stop().await.released);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_partition_is_not_sealed_and_its_records_come_back_with_the_file() {
    let place = Place::new();
    let options = place.with_small_files(8);
    let log = Log::open(options.clone(), place.env()).await.unwrap();
    for topic in ["t", "other"] {
        log.create_topic(new_topic(topic)).await.unwrap();
    }
    for value in ["the first", "the middle", "the third", "the last one"] {
        append(&log, "t", &[(1, value)]).await;
    }
    kill(log).await;
    for value in ["the middle", "the last one"] {
        hurt(&place, value);
    }
    let log = reopened_with(options.clone(), &place).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    assert_eq!(partition.ends().log_end, 4, "what cannot be read counts");
    let refused = log.seal(Some("t")).await.unwrap_err();
    assert!(refused.to_string().contains("accept-loss"), "{refused}");
    let layout = &log.layout(Some("t"), None).await.unwrap()[0];
    assert!(layout.entries.is_empty() && layout.damaged.is_some(), "{layout:?}");
    // The others go on, through the whole WAL and more.
    for round in 0..10 {
        for _ in 0..4 {
            append(&log, "other", &[(1, &"x".repeat(9000))]).await;
        }
        log.seal(Some("other")).await.unwrap_or_else(|e| panic!("round {round}: {e}"));
        if log.0.core.wal.space().pinned > log.0.core.wal.space().budget / 2 {
            log.0.mover.condense(crate::log::mover::condensable(&log.0.core.wal.space())).await;
        }
    }
    let stopped = log.stop().await;
    assert!(!stopped.released && stopped.unsealed.iter().any(|line| line.contains("accept-loss")), "{stopped:?}");
    drop((partition, log));
    // The file is restored: a byte that is changed again is what it was.
    for value in ["the middle", "the last one"] {
        let mut changed = value.as_bytes().to_vec();
        changed[0] ^= 0x40;
        restore(&place, &changed);
    }
    let log = reopened_with(options, &place).await.unwrap();
    let partition = log.partition("t", 0).unwrap();
    let values: Vec<String> = read_all(&partition, 0).await.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["the first", "the middle", "the third", "the last one"]);
    assert_eq!(append(&log, "t", &[(1, "next")]).await.base_offset, 4);
    assert!(log.stop().await.released);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_looks_torn_and_that_the_bucket_knows_of_can_be_given_up() {
    let place = Place::new();
    let log = place.open().await;
    for topic in ["t", "other"] {
        log.create_topic(new_topic(topic)).await.unwrap();
    }
    append(&log, "other", &[(1, "sealed")]).await;
    append(&log, "t", &[(1, "the last one")]).await;
    log.seal(Some("other")).await.unwrap();
    kill(log).await;
    for file in std::fs::read_dir(place.options().data_dir.join("wal")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(12).position(|window| window == b"the last one") {
            bytes[at] ^= 0x40;
            bytes[at.next_multiple_of(4096)..].fill(0);
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let refused = reopened_with(place.options(), &place).await.unwrap_err().to_string();
    assert!(refused.contains("accept-loss"), "{refused}");
    let log = accepted(&place).await;
    assert_eq!(read_all(&log.partition("other", 0).unwrap(), 0).await, [(0, "sealed".to_owned())]);
    let next = append(&log, "t", &[(2, "next")]).await.base_offset;
    assert!(next > 1 << 20, "offset 0 was given out: {next}");
    assert!(log.stop().await.released);
    drop(log);
    let log = tiers::reopened(&place).await;
    assert_eq!(read_all(&log.partition("t", 0).unwrap(), 0).await, [(next, "next".to_owned())]);
    log.stop().await;
}
