use proptest::prelude::*;

use super::*;
use crate::archive::rewrite::choose::horizon;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The horizon below which tombstones may go, in minutes before now, after each compaction of `minutes`: with one tombstone
/// a minute at the offset of that minute.
fn lags(every: impl Iterator<Item = i64>, delete_retention_ms: i64) -> Vec<(i64, i64)> {
    let (mut points, mut lags, mut now) = (Vec::new(), Vec::new(), 0);
    for minutes in every {
        now += minutes;
        add(&mut points, CleanPoint(now, now * MINUTE_MS), delete_retention_ms);
        assert!(points.len() <= CLEAN_POINTS_MAX && points.is_sorted_by(|a, b| a.0 < b.0));
        lags.push((now, now - horizon(&points, delete_retention_ms, now * MINUTE_MS)));
    }
    lags
}

#[test]
fn tombstones_go_after_delete_retention_however_often_a_topic_is_compacted() {
    let week = 7 * 24 * 60;
    for every in [1, 10, 22, 45] {
        let lags = lags((0..week / every).map(|_| every), 24 * HOUR_MS);
        let settled = lags.iter().filter(|(now, _)| *now > 26 * 60);
        // A point every 45 minutes at least, and the compaction itself.
        assert!(
            settled.clone().all(|(_, lag)| (24 * 60..=24 * 60 + 45 + 2 * every).contains(lag)),
            "every {every} min"
        );
        assert!(settled.count() > 0);
    }
}

#[test]
fn the_first_and_the_newest_point_stay_and_the_closest_pair_loses_its_earlier() {
    let mut points = Vec::new();
    for at in 1..=CLEAN_POINTS_MAX as i64 {
        add(&mut points, CleanPoint(at, at * 1000), i64::MAX / 2);
    }
    assert_eq!(points, [CleanPoint(1, 1000), CleanPoint(64, 64_000)], "closer than a part of the retention");
    let mut points: Vec<CleanPoint> = (1..=CLEAN_POINTS_MAX as i64).map(|at| CleanPoint(at, at * HOUR_MS)).collect();
    points[30].1 += 60_000;
    add(&mut points, CleanPoint(100, 100 * HOUR_MS), 32 * HOUR_MS * 2);
    assert_eq!((points[0].1, points.last().copied()), (36 * HOUR_MS, Some(CleanPoint(100, 100 * HOUR_MS))));
}

proptest! {
    /// However the compactions lie, no tombstone goes too early, and the clean points stay bounded and in order.
    #[test]
    fn no_tombstone_goes_before_its_time(every in proptest::collection::vec(1i64..600, 1..400), hours in 1i64..200) {
        for (now, lag) in lags(every.iter().copied(), hours * HOUR_MS) {
            // A tombstone at minute m is covered first by a compaction at or after m.
            prop_assert!(lag >= hours * 60 || lag == now);
        }
    }

    /// A tombstone goes at the first compaction that is delete.retention.ms and two gaps after it was written.
    #[test]
    fn every_tombstone_goes(every in proptest::collection::vec(1i64..600, 1..400), hours in 1i64..200) {
        let longest = every.iter().max().copied().unwrap_or_default();
        let spacing = hours * 60 / PARTS + 1;
        for (now, lag) in lags(every.iter().copied(), hours * HOUR_MS) {
            let bound = hours * 60 + 2 * (spacing + longest) + hours * 60 / 8;
            prop_assert!(lag <= bound || lag == now && now <= bound, "at {now} the lag is {lag}");
        }
    }
}
