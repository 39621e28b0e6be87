//! Clean points: up to where a partition was compacted, and when; pure.
//!
//! A tombstone may go when the point that first covered its offset is older than `delete.retention.ms`. To leave out a point
//! in between is safe: what it covered is then taken for compacted when the next one was made, so that tombstones stay
//! longer, never shorter. To leave out the oldest again and again would keep them for ever.
use super::model::{CLEAN_POINTS_MAX, CleanPoint};

/// Points lie at least this part of `delete.retention.ms` apart.
const PARTS: i64 = 32;

/// Adds `point`, which lies above all others, and thins out those before it.
pub fn add(points: &mut Vec<CleanPoint>, point: CleanPoint, delete_retention_ms: i64) {
    if let [.., before, last] = points[..]
        && last.1.saturating_sub(before.1) < delete_retention_ms / PARTS
    {
        points.pop();
    }
    points.push(point);
    // Of those that are old enough the newest says it all.
    let old = points.partition_point(|p| p.1.saturating_add(delete_retention_ms) <= point.1);
    points.drain(..old.saturating_sub(1));
    while points.len() > CLEAN_POINTS_MAX {
        let closest = (1..points.len() - 1).min_by_key(|at| points[at + 1].1.saturating_sub(points[*at].1));
        points.remove(closest.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests;
