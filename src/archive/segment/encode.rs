//! Records in, bytes of a Parquet object out.
mod block;
mod levels;
mod pages;
mod plain;
mod rows;

use std::io::{self, Write};

use bytes::Bytes;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;

use self::block::{BlockWriter, Closed};
use self::plain::Packer;
use self::rows::Rows;
use super::facts::{self, BlockFacts, Facts};
use super::schema::Column;
use super::{BlockPos, SegmentError, SegmentMeta, SegmentSpec, schema, trailer};
use crate::record::{HashSum, RecordHasher, RecordRef};
use crate::store::envelope::Unknown;

/// Bytes of values that are compressed to learn whether it pays; fewer than the least tell nothing.
const SAMPLE_BYTES: usize = 64 << 10;
const SAMPLE_BYTES_MIN: usize = 4 << 10;

/// Encodes one segment. Holds one slice of rows and the encoded pages of one block.
pub struct SegmentEncoder {
    spec: SegmentSpec,
    file: SerializedFileWriter<Output>,
    properties: WriterPropertiesPtr,
    packer: Packer,
    /// Whether the values of this block, or of the last one, do not compress.
    is_dense: bool,
    rows: Rows,
    block: Option<OpenBlock>,
    /// Hash of the records of the open block.
    hash: HashSum,
    hasher: RecordHasher,
    facts: Vec<BlockFacts>,
    /// Filled as records and blocks come in; what only the end knows is zero until then.
    meta: SegmentMeta,
    last_offset: Option<i64>,
    /// Of the blocks that are written, by column in the order of the file.
    column_bytes: [u64; Column::COUNT],
    nulls: [u64; Column::COUNT],
    /// Of the slices that are written.
    weight: u64,
    output: Vec<Bytes>,
    /// Says more in the footer than this version does, as a later one may.
    #[cfg(test)]
    pub(super) alter_facts: fn(String) -> String,
}

struct OpenBlock {
    writer: BlockWriter,
    first_offset: i64,
    first_row: u64,
    /// See [`Rows::weight`].
    weight: u64,
    slice_bytes: Vec<u64>,
}

/// Collects what the Parquet writer writes until it is taken.
#[derive(Default)]
struct Output(Vec<u8>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SegmentEncoder {
    /// Begins a segment. Errors with [`SegmentError::Writer`] when the zstd level is not one.
    pub fn new(spec: SegmentSpec) -> Result<Self, SegmentError> {
        let properties = schema::properties(&spec)?;
        let file = SerializedFileWriter::new(Output::default(), schema::schema()?, properties.clone())?;
        let packer = Packer::new(spec.zstd_level).map_err(|error| SegmentError::Writer(error.to_string()))?;
        let meta = SegmentMeta {
            size: 0,
            first_offset: spec.first_offset,
            next_offset: spec.first_offset,
            first_record: spec.first_offset,
            last_record: spec.first_offset,
            records: 0,
            payload_bytes: 0,
            stored_bytes: 0,
            column_bytes: Vec::new(),
            null_counts: Vec::new(),
            index_at: 0,
            index_crc32c: 0,
            blocks: Vec::new(),
            min_timestamp: None,
            max_timestamp: None,
            offset_of_first_max: None,
            null_timestamps: 0,
            hash: HashSum::ZERO,
            unknown: Unknown::new(),
        };
        Ok(Self {
            rows: Rows::new(spec.key_type, spec.value_type),
            hasher: RecordHasher::new(spec.topic_id, spec.partition),
            spec,
            file,
            properties,
            packer,
            is_dense: false,
            block: None,
            hash: HashSum::ZERO,
            facts: Vec::new(),
            meta,
            last_offset: None,
            column_bytes: [0; Column::COUNT],
            nulls: [0; Column::COUNT],
            weight: 0,
            output: Vec::new(),
            #[cfg(test)]
            alter_facts: |json| json,
        })
    }

    /// Adds a record; offsets must rise. Errors with [`SegmentError::Record`] when a segment cannot hold it; the encoder
    /// then is as it was before.
    pub fn push(&mut self, record: &RecordRef<'_>) -> Result<(), SegmentError> {
        let rises = self.last_offset.map_or(record.offset >= self.spec.first_offset, |last| record.offset > last);
        if !rises {
            let problem = "it is not above the record before it, or below the segment's first offset";
            return Err(SegmentError::Record { offset: record.offset, problem });
        }
        let payload_before = self.rows.payload_bytes;
        self.rows.push(record)?;
        if self.last_offset.is_none() {
            self.meta.first_record = record.offset;
        }
        self.last_offset = Some(record.offset);
        self.meta.records += 1;
        self.meta.payload_bytes += self.rows.payload_bytes - payload_before;
        self.hash.add(self.hasher.hash(record));
        self.note_timestamp(record);
        let slice_bytes = if self.is_dense { self.spec.slice_bytes / 4 } else { self.spec.slice_bytes };
        if self.rows.is_full(slice_bytes) {
            self.end_slice()?;
            if self.block.as_ref().is_some_and(|block| block.weight >= self.spec.block_bytes) {
                self.end_block()?;
            }
        }
        Ok(())
    }

    /// Number of records pushed so far.
    pub fn records(&self) -> u64 {
        self.meta.records
    }

    /// Payload pushed so far, in bytes.
    pub fn payload_bytes(&self) -> u64 {
        self.meta.payload_bytes
    }

    /// What was pushed so far counts towards a segment's size: payload, or what records and headers without bytes take.
    pub fn weight(&self) -> u64 {
        self.weight + self.rows.weight()
    }

    /// Whether some keys, and whether some values, are UTF-8 while others are not: a topic that should be asked for
    /// `esker.key.type=binary` or `esker.value.type=binary`.
    pub fn mixed(&self) -> (bool, bool) {
        (self.rows.keys.mixed(), self.rows.values.mixed())
    }

    /// Bytes of memory held, output that was not taken included.
    pub fn memory_bytes(&self) -> u64 {
        let output: usize = self.output.iter().map(Bytes::len).sum();
        let block = self.block.as_ref().map_or(0, |block| block.writer.memory_bytes());
        (self.rows.memory_bytes() + self.packer.memory_bytes() + output) as u64 + block
    }

    /// Takes the finished bytes: the object from where the last call ended, in order. Empty until a block is full.
    pub fn take_output(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.output)
    }

    /// Ends the segment, which stands for the offsets up to `next_offset`: the rest of the object, and what the manifest
    /// has to know. Errors with [`SegmentError::Empty`] when there was no record.
    pub fn finish(mut self, next_offset: i64) -> Result<(Vec<Bytes>, SegmentMeta), SegmentError> {
        let Some(last) = self.last_offset else {
            return Err(SegmentError::Empty { first_offset: self.spec.first_offset, next_offset });
        };
        if next_offset <= last {
            let problem = "it is not below the segment's next offset";
            return Err(SegmentError::Record { offset: last, problem });
        }
        self.end_slice()?;
        self.end_block()?;
        self.meta.next_offset = next_offset;
        self.meta.last_record = last;
        self.nulls[Column::Timestamp as usize] = self.meta.null_timestamps;
        self.meta.column_bytes = facts::by_id(&Column::ALL, &self.column_bytes);
        self.meta.null_counts = facts::by_id(&Column::NULLABLE, &self.nulls);
        let facts = Facts {
            format: facts::FORMAT,
            must_read: Vec::new(),
            must_write: Vec::new(),
            must_collect: Vec::new(),
            topic_id: self.spec.topic_id,
            partition: self.spec.partition,
            first_offset: self.spec.first_offset,
            next_offset,
            blocks: self.facts,
        };
        let json = serde_json::to_string(&facts).map_err(|error| SegmentError::Writer(error.to_string()))?;
        #[cfg(test)]
        let json = (self.alter_facts)(json);
        self.meta.index_at = self.file.bytes_written() as u64;
        self.meta.stored_bytes = self.meta.index_at - 4;
        self.file.append_key_value_metadata(KeyValue::new(facts::KEY.to_owned(), json));
        self.file.finish()?;
        let tail = trailer::insert(std::mem::take(&mut self.file.inner_mut().0), self.meta.index_at);
        self.meta.size = self.meta.index_at + tail.len() as u64;
        self.meta.index_crc32c = crc32c::crc32c(&tail);
        self.output.push(Bytes::from(tail));
        Ok((self.output, self.meta))
    }

    fn note_timestamp(&mut self, record: &RecordRef<'_>) {
        let meta = &mut self.meta;
        if record.timestamp == RecordRef::NO_TIMESTAMP {
            meta.null_timestamps += 1;
            return;
        }
        meta.min_timestamp = Some(meta.min_timestamp.map_or(record.timestamp, |min| min.min(record.timestamp)));
        if meta.max_timestamp.is_none_or(|max| record.timestamp > max) {
            meta.max_timestamp = Some(record.timestamp);
            meta.offset_of_first_max = Some(record.offset);
        }
    }

    /// Writes the rows as one page of each column.
    fn end_slice(&mut self) -> Result<(), SegmentError> {
        let Some(&first_offset) = self.rows.offsets.first() else { return Ok(()) };
        if self.block.is_none() {
            self.is_dense = self.does_not_compress();
            self.block = Some(OpenBlock {
                writer: BlockWriter::new(self.file.schema_descr(), &self.properties, self.is_dense),
                first_offset,
                first_row: self.meta.records - self.rows.len() as u64,
                weight: 0,
                slice_bytes: Vec::new(),
            });
        }
        let weight = self.rows.weight();
        let block = self.block.as_mut().expect("it was just made");
        block.writer.write(&mut self.rows, self.spec.partition, &mut self.packer)?;
        block.slice_bytes.push(self.rows.payload_bytes);
        block.weight += weight;
        self.weight += weight;
        self.rows.clear();
        Ok(())
    }

    /// Appends the open block to the output.
    fn end_block(&mut self) -> Result<(), SegmentError> {
        let Some(block) = self.block.take() else { return Ok(()) };
        let at = self.file.bytes_written() as u64;
        let Closed { page_crc32c, bytes, nulls } = block.writer.close(&mut self.file)?;
        self.file.flush().map_err(|error| SegmentError::Writer(error.to_string()))?;
        let len = self.file.bytes_written() as u64 - at;
        self.output.push(Bytes::from(std::mem::take(&mut self.file.inner_mut().0)));
        let (first_offset, first_row) = (block.first_offset, block.first_row);
        self.meta.blocks.push(BlockPos { at, len, first_offset, first_row, unknown: Unknown::new() });
        for place in 0..Column::COUNT {
            self.column_bytes[place] += bytes[place];
            self.nulls[place] += nulls[place];
        }
        self.meta.hash += self.hash;
        self.facts.push(BlockFacts {
            records: self.meta.records - first_row,
            hash: std::mem::take(&mut self.hash),
            slice_bytes: block.slice_bytes,
            page_crc32c,
        });
        Ok(())
    }

    /// Compresses a sample of the values in `rows`: true when less than a thirtieth is saved.
    fn does_not_compress(&mut self) -> bool {
        let values = &self.rows.values;
        let text = values.text.sample(SAMPLE_BYTES);
        let sample = if text.is_empty() { values.raw.sample(SAMPLE_BYTES) } else { text };
        if sample.len() < SAMPLE_BYTES_MIN {
            return false;
        }
        match self.packer.pack(sample) {
            Ok(packed) => packed.len() > sample.len() - sample.len() / 30,
            Err(_) => false, // it only decides which of two good ways is taken
        }
    }
}
