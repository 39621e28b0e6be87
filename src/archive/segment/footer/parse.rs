//! From the checked bytes at the end of an object to its map. What the Parquet metadata says is held against the manifest
//! entry, against `esker.segment`, and against itself: pages follow each other without a hole from byte 4 to the indexes.
use std::iter::Peekable;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::{Block, Chunk, Footer, Page, SliceInfo};
use crate::archive::segment::facts::{self, BlockFacts, Facts};
use crate::archive::segment::schema::Column;
use crate::archive::segment::trailer::Trailer;
use crate::archive::segment::{BlockPos, END_BYTES_MAX, SegmentError, SegmentMeta};
use crate::store::envelope::Unknown;

/// Pages begin after "PAR1".
const PAGES_AT: u64 = 4;

pub(super) fn damaged(path: &str, at: u64, problem: &str) -> SegmentError {
    SegmentError::Damaged { object: path.to_owned(), at, problem: problem.to_owned() }
}

/// Refuses an end of an object that cannot be one, before it is fetched: nothing has proven yet where it begins.
pub(super) fn check_end(path: &str, index_at: u64, size: u64) -> Result<(), SegmentError> {
    match size.checked_sub(index_at) {
        None | Some(0) => Err(damaged(path, index_at, "it ends before its indexes begin")),
        Some(len) if len > END_BYTES_MAX => {
            let problem = format!("its end takes {len} bytes, and at most {END_BYTES_MAX} are read");
            Err(damaged(path, index_at, &problem))
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn parse(path: &str, tail: &Bytes, size: u64, meta: Option<&SegmentMeta>) -> Result<Footer, SegmentError> {
    let (tail, index_at) = check(path, tail, size, meta)?;
    let wrong = |problem: String| SegmentError::Damaged { object: path.to_owned(), at: index_at, problem };
    let mut reader = ParquetMetaDataReader::new()
        .with_offset_index_policy(PageIndexPolicy::Required)
        .with_column_index_policy(PageIndexPolicy::Optional);
    reader.try_parse_sized(&tail, size).map_err(|error| wrong(format!("its metadata cannot be read: {error}")))?;
    let metadata = reader.finish().map_err(|error| wrong(format!("its metadata cannot be read: {error}")))?;
    let facts = read_facts(path, &metadata).map_err(|refusal| refusal.named(wrong))?;
    let columns = find_columns(&metadata).map_err(wrong)?;
    let mut footer = Footer {
        object: Arc::from(path),
        size,
        index_at,
        topic_id: facts.topic_id,
        partition: facts.partition,
        first_offset: facts.first_offset,
        next_offset: facts.next_offset,
        must_write: facts.must_write,
        must_collect: facts.must_collect,
        nulls: [0; Column::COUNT],
        blocks: Vec::with_capacity(facts.blocks.len()),
        slices: Vec::new(),
    };
    fill(&mut footer, &metadata, &facts.blocks, &columns).map_err(wrong)?;
    if let Some(meta) = meta {
        agree(&footer, meta).map_err(wrong)?;
    }
    Ok(footer)
}

/// Proves the bytes from where the indexes begin to the end; returns exactly those.
fn check(path: &str, tail: &Bytes, size: u64, meta: Option<&SegmentMeta>) -> Result<(Bytes, u64), SegmentError> {
    let tail_at =
        size.checked_sub(tail.len() as u64).ok_or_else(|| damaged(path, 0, "it is shorter than it should be"))?;
    if let Some(meta) = meta {
        let whole = size == meta.size && tail_at == meta.index_at;
        if !whole || crc32c::crc32c(tail) != meta.index_crc32c {
            return Err(damaged(path, meta.index_at, "indexes and footer do not match the checksum in the manifest"));
        }
        return Ok((tail.clone(), meta.index_at));
    }
    let trailer = Trailer::find(tail).map_err(|problem| damaged(path, tail_at, problem))?;
    let from = trailer.index_at.checked_sub(tail_at).and_then(|from| usize::try_from(from).ok());
    let Some(from) = from.filter(|from| *from < tail.len()) else {
        return Err(damaged(path, tail_at, "its trailer names a place outside of the fetched end"));
    };
    let index = tail.slice(from..);
    if trailer.covers(&index) {
        Ok((index, trailer.index_at))
    } else {
        Err(damaged(path, trailer.index_at, "indexes and footer do not match their checksum"))
    }
}

/// Reads `esker.segment`: first what it needs of a reader, then the rest.
fn read_facts(path: &str, metadata: &ParquetMetaData) -> Result<Facts, Refusal> {
    let entries = metadata.file_metadata().key_value_metadata();
    let json =
        entries.into_iter().flatten().find(|entry| entry.key == facts::KEY).and_then(|entry| entry.value.as_ref());
    let json = json.ok_or_else(|| Refusal::Damaged(format!("its metadata has no {}", facts::KEY)))?;
    let needs: facts::Needs = parse_json(json)?;
    let unsupported = |what: String| SegmentError::Unsupported { object: path.to_owned(), what };
    if needs.format > facts::FORMAT {
        return Err(Refusal::Whole(unsupported(format!("segment format {}", needs.format))));
    }
    if let Some(feature) = needs.must_read.iter().find(|feature| !facts::FEATURES.contains(&feature.as_str())) {
        return Err(Refusal::Whole(unsupported(format!("the feature '{feature}'"))));
    }
    parse_json(json)
}

fn parse_json<'a, T: serde::Deserialize<'a>>(json: &'a str) -> Result<T, Refusal> {
    serde_json::from_str(json).map_err(|error| Refusal::Damaged(format!("its {} cannot be read: {error}", facts::KEY)))
}

enum Refusal {
    Whole(SegmentError),
    /// Object and place are still to be named.
    Damaged(String),
}

impl Refusal {
    fn named(self, name: impl FnOnce(String) -> SegmentError) -> SegmentError {
        match self {
            Self::Whole(error) => error,
            Self::Damaged(problem) => name(problem),
        }
    }
}

/// For each known column, its place among the leaf columns of the file.
fn find_columns(metadata: &ParquetMetaData) -> Result<[usize; Column::COUNT], String> {
    let schema = metadata.file_metadata().schema_descr();
    let mut places = [0; Column::COUNT];
    for column in Column::ALL {
        let found = schema.columns().iter().position(|leaf| leaf.path().string() == column.path());
        let place = found.ok_or_else(|| format!("it has no column {}", column.path()))?;
        let leaf = schema.column(place);
        let same = leaf.physical_type() == column.physical()
            && i64::from(leaf.max_def_level()) == i64::from(column.def_level_max())
            && i64::from(leaf.max_rep_level()) == i64::from(column.rep_level_max());
        if !same {
            return Err(format!("column {} has another type than in a segment", column.path()));
        }
        places[column as usize] = place;
    }
    Ok(places)
}

fn fill(
    footer: &mut Footer,
    metadata: &ParquetMetaData,
    facts: &[BlockFacts],
    columns: &[usize; Column::COUNT],
) -> Result<(), String> {
    if facts.len() != metadata.num_row_groups() || facts.is_empty() {
        return Err("metadata and esker.segment have another number of blocks".to_owned());
    }
    let (mut at, mut row) = (PAGES_AT, 0);
    for (index, facts) in facts.iter().enumerate() {
        let block_at = at;
        let pages = read_pages(metadata, index, facts, &mut at)?;
        let first_slice = footer.slices.len();
        read_slices(footer, metadata, index, facts, columns)?;
        let slices = footer.slices.len() - first_slice;
        let (mut chunks, mut others) = (Vec::with_capacity(Column::COUNT), Vec::new());
        let mut known: Vec<Option<Chunk>> = Vec::new();
        for (place, chunk) in pages.into_iter().enumerate() {
            if columns.contains(&place) {
                if chunk.pages.len() != slices {
                    return Err(format!("the columns of block {index} break their pages at other rows"));
                }
                known.push(Some(chunk));
            } else {
                others.extend(chunk.dictionary);
                others.extend(chunk.pages);
                known.push(None);
            }
        }
        for &place in columns {
            chunks.push(known[place].take().ok_or("two columns have the same name")?);
        }
        let first_offset = footer.slices[first_slice].first_offset;
        let pos = BlockPos { at: block_at, len: at - block_at, first_offset, first_row: row, unknown: Unknown::new() };
        footer.blocks.push(Block { pos, records: facts.records, hash: facts.hash, chunks, others });
        row += facts.records;
        for column in Column::NULLABLE {
            let chunk = metadata.row_group(index).column(columns[column as usize]);
            let nulls = chunk.statistics().and_then(|statistics| statistics.null_count_opt());
            let nulls =
                nulls.ok_or_else(|| format!("it does not say how many values of {} are null", column.path()))?;
            footer.nulls[column as usize] += nulls;
        }
    }
    if at == footer.index_at { Ok(()) } else { Err("its pages do not end where its indexes begin".to_owned()) }
}

/// The pages of all columns of a block, in the order of the file; moves `at` to the block's end.
fn read_pages(
    metadata: &ParquetMetaData,
    block: usize,
    facts: &BlockFacts,
    at: &mut u64,
) -> Result<Vec<Chunk>, String> {
    let offsets = metadata.offset_index().ok_or("it has no offset index")?;
    let mut crcs = facts.page_crc32c.iter().copied().peekable();
    let mut chunks = Vec::new();
    for (place, column) in metadata.row_group(block).columns().iter().enumerate() {
        if !matches!(column.compression(), Compression::ZSTD(_)) {
            return Err(format!("column {} is not compressed with zstd", column.column_path()));
        }
        let locations = offsets[block][place].page_locations();
        let data_at = locations.first().map(|page| page.offset).ok_or("a column chunk has no pages")?;
        let mut page = |from: i64, len: i64| next_page(at, &mut crcs, from, len);
        let dictionary = match column.dictionary_page_offset() {
            Some(from) => Some(page(from, data_at - from)?),
            None => None,
        };
        let pages: Result<Vec<Page>, String> =
            locations.iter().map(|location| page(location.offset, i64::from(location.compressed_page_size))).collect();
        chunks.push(Chunk { dictionary, pages: pages? });
    }
    if crcs.peek().is_some() {
        return Err(format!("block {block} has more checksums than pages"));
    }
    Ok(chunks)
}

fn next_page(
    at: &mut u64,
    crcs: &mut Peekable<impl Iterator<Item = u32>>,
    from: i64,
    len: i64,
) -> Result<Page, String> {
    let crc32c = crcs.next().ok_or("it has more pages than checksums")?;
    let len = u32::try_from(len).ok().filter(|len| *len > 0);
    match len {
        Some(len) if u64::try_from(from) == Ok(*at) => {
            let page = Page { at: *at, len, crc32c };
            *at += u64::from(len);
            Ok(page)
        }
        _ => Err(format!("the page at byte {from} does not follow the one before it, which ends at {at}")),
    }
}

/// Adds the slices of a block, from the page indexes of `log_offset` and `timestamp`.
fn read_slices(
    footer: &mut Footer,
    metadata: &ParquetMetaData,
    block: usize,
    facts: &BlockFacts,
    columns: &[usize; Column::COUNT],
) -> Result<(), String> {
    let index = |column: Column| match metadata.column_index().map(|all| &all[block][columns[column as usize]]) {
        Some(ColumnIndexMetaData::INT64(index)) => Ok(index),
        _ => Err(format!("block {block} has no page statistics of {}", column.path())),
    };
    let (offsets, timestamps) = (index(Column::LogOffset)?, index(Column::Timestamp)?);
    let locations = &metadata.offset_index().ok_or("it has no offset index")?[block];
    let rows_of = |place: usize| locations[place].page_locations().iter().map(|page| page.first_row_index);
    if columns.iter().any(|&place| !rows_of(place).eq(rows_of(columns[0]))) {
        return Err(format!("the columns of block {block} break their pages at other rows"));
    }
    let count = facts.slice_bytes.len();
    let starts: Vec<i64> = rows_of(columns[0]).chain([facts.records as i64]).collect();
    let complete = starts.len() == count + 1
        && starts[0] == 0
        && metadata.row_group(block).num_rows() == facts.records as i64
        && offsets.num_pages() == count as u64
        && timestamps.num_pages() == count as u64;
    if !complete {
        return Err(format!("metadata and esker.segment disagree about the slices of block {block}"));
    }
    for page in 0..count {
        let records = u32::try_from(starts[page + 1] - starts[page]).ok().filter(|records| *records > 0);
        let first_offset = offsets.min_value(page).copied();
        let next_offset = offsets.max_value(page).and_then(|last| last.checked_add(1));
        let (Some(records), Some(first_offset), Some(next_offset)) = (records, first_offset, next_offset) else {
            return Err(format!("slice {page} of block {block} has no records or no offsets"));
        };
        let above = footer.slices.last().map_or(footer.first_offset, |slice| slice.next_offset);
        let room = next_offset.checked_sub(first_offset).is_some_and(|room| room >= i64::from(records));
        if first_offset < above || !room || next_offset > footer.next_offset {
            return Err(format!("the offsets of slice {page} of block {block} do not follow those before it"));
        }
        footer.slices.push(SliceInfo {
            block: block as u32,
            page: page as u32,
            first_offset,
            next_offset,
            records,
            payload_bytes: facts.slice_bytes[page],
            min_timestamp: timestamps.min_value(page).map(|micros| micros.div_euclid(1000)),
            max_timestamp: timestamps.max_value(page).map(|micros| micros.div_euclid(1000)),
        });
    }
    Ok(())
}

/// Holds the footer against the manifest entry: an object that was swapped for another must not be read.
fn agree(footer: &Footer, meta: &SegmentMeta) -> Result<(), String> {
    let mut hash = crate::record::HashSum::ZERO;
    footer.blocks.iter().for_each(|block| hash += block.hash);
    let same = footer.first_offset == meta.first_offset
        && footer.next_offset == meta.next_offset
        && hash == meta.hash
        && footer.blocks.iter().map(|block| block.records).sum::<u64>() == meta.records
        && footer.slices.iter().map(|slice| slice.payload_bytes).sum::<u64>() == meta.payload_bytes
        && footer.slices.first().map(|slice| slice.first_offset) == Some(meta.first_record)
        && footer.slices.last().map(|slice| slice.next_offset - 1) == Some(meta.last_record)
        && facts::by_id(&Column::ALL, &footer.column_bytes()) == meta.column_bytes
        && facts::by_id(&Column::NULLABLE, &footer.nulls) == meta.null_counts
        && footer.blocks.len() == meta.blocks.len()
        && footer.blocks.iter().zip(&meta.blocks).all(|(block, pos)| block.pos.agrees(pos));
    if same { Ok(()) } else { Err("footer and manifest entry do not speak of the same segment".to_owned()) }
}
