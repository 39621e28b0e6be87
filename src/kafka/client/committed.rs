//! What of a read counts for whom reads committed: as every Kafka consumer does it, from the list of aborted transactions that
//! comes with the records.
use std::collections::BTreeSet;

use bytes::Bytes;

use crate::record::{BatchError, BatchHeader, EndMarker, split};

/// The batches of `records` that hold data of no aborted transaction, and the position after all of them (none if there are
/// none). `aborted`: producer id and first offset of each transaction that was aborted and has records here; its marker ends
/// it. Control batches are left out.
///
/// # Errors
/// Those of reading the batches.
pub fn committed(records: Bytes, mut aborted: Vec<(i64, i64)>) -> Result<(Vec<Bytes>, Option<i64>), BatchError> {
    aborted.sort_unstable_by_key(|(_, first)| *first);
    let mut aborted = aborted.into_iter().peekable();
    let mut dropping = BTreeSet::new();
    let (mut kept, mut next) = (Vec::new(), None);
    for batch in split(records) {
        let batch = batch?;
        let header = BatchHeader::parse(&batch)?;
        while let Some((producer_id, _)) = aborted.next_if(|(_, first)| *first <= header.last_offset()) {
            dropping.insert(producer_id);
        }
        if header.is_control() {
            if let Some(marker) = EndMarker::of_batch(&batch)? {
                dropping.remove(&marker.producer_id);
            }
        } else if !(header.is_transactional() && dropping.contains(&header.producer_id)) {
            kept.push(batch);
        }
        next = Some(header.last_offset().saturating_add(1));
    }
    Ok((kept, next))
}

#[cfg(test)]
mod tests;
