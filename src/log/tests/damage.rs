//! Records that the WAL lost: never served, never replaced by others.
use super::*;
use crate::wal::{self, fs::RealFs};

/// Changes a byte of the value in whichever WAL file holds it.
pub(super) fn hurt(place: &Place, value: &str) {
    for file in std::fs::read_dir(place.options().data_dir.join("wal")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(value.len()).position(|window| window == value.as_bytes()) {
            bytes[at] ^= 0x40;
            return std::fs::write(&path, bytes).unwrap();
        }
    }
    panic!("no WAL file holds {value}");
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
