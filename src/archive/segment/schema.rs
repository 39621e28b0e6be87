//! The columns of a segment: their order in the file, their names and ids in the table, and how they are written.
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{
    BloomFilterPosition, EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion,
};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::{ColumnType, SegmentSpec};

/// A dictionary that grows beyond this is given up, in bytes: reading one slice has to fetch all of it.
const DICTIONARY_BYTES_MAX: usize = 256 << 10;
/// Part of a Bloom filter's "perhaps" answers that are wrong.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// More than any slice has: one call of `write_batch` makes one page, whatever it holds.
const UNBOUNDED: usize = 1 << 40;

/// The leaf columns in the order of the file: what is small first and the values last, so that a slice of a topic of text
/// is read with two ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Partition,
    LogOffset,
    Timestamp,
    TimestampType,
    LeaderEpoch,
    Key,
    KeyRaw,
    HeaderKey,
    HeaderValue,
    ValueRaw,
    Value,
}

impl Column {
    /// Number of leaf columns.
    pub(super) const COUNT: usize = 11;

    /// All of them, in the order of the file.
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Partition,
        Self::LogOffset,
        Self::Timestamp,
        Self::TimestampType,
        Self::LeaderEpoch,
        Self::Key,
        Self::KeyRaw,
        Self::HeaderKey,
        Self::HeaderValue,
        Self::ValueRaw,
        Self::Value,
    ];

    /// Those that tell offsets and keys.
    pub(super) const KEYS: [Self; 3] = [Self::LogOffset, Self::Key, Self::KeyRaw];

    /// Those at the top level that may be null, in the order of their ids.
    pub(super) const NULLABLE: [Self; 5] = [Self::Timestamp, Self::Key, Self::Value, Self::KeyRaw, Self::ValueRaw];

    /// Its field id in the table.
    pub(super) fn id(self) -> i32 {
        match self {
            Self::Partition => 1,
            Self::LogOffset => 2,
            Self::Timestamp => 3,
            Self::Key => 4,
            Self::Value => 5,
            Self::KeyRaw => 7,
            Self::ValueRaw => 8,
            Self::TimestampType => 9,
            Self::LeaderEpoch => 10,
            Self::HeaderKey => 12,
            Self::HeaderValue => 13,
        }
    }

    /// The path of its name in the file's schema.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::LogOffset => "log_offset",
            Self::Timestamp => "timestamp",
            Self::TimestampType => "timestamp_type",
            Self::LeaderEpoch => "leader_epoch",
            Self::Key => "key",
            Self::KeyRaw => "key_raw",
            Self::HeaderKey => "headers.list.element.key",
            Self::HeaderValue => "headers.list.element.value",
            Self::Value => "value",
            Self::ValueRaw => "value_raw",
        }
    }

    /// The definition level of a value that is there.
    pub(super) fn def_level_max(self) -> u32 {
        match self {
            Self::Partition | Self::LogOffset | Self::TimestampType | Self::LeaderEpoch => 0,
            Self::Timestamp | Self::Key | Self::KeyRaw | Self::HeaderKey | Self::Value | Self::ValueRaw => 1,
            Self::HeaderValue => 2,
        }
    }

    /// The highest repetition level: 1 in the list of headers.
    pub(super) fn rep_level_max(self) -> u32 {
        u32::from(matches!(self, Self::HeaderKey | Self::HeaderValue))
    }

    /// The physical type.
    pub(super) fn physical(self) -> Physical {
        match self {
            Self::Partition | Self::TimestampType | Self::LeaderEpoch => Physical::INT32,
            Self::LogOffset | Self::Timestamp => Physical::INT64,
            _ => Physical::BYTE_ARRAY,
        }
    }
}

/// The schema with the table's field ids: 1 to 10 for the top level in the order of the table, then 11 to 13 within the
/// headers, as engines assign fresh ids.
pub(super) fn schema() -> Result<TypePtr> {
    let micros = LogicalType::Timestamp { is_adjusted_to_u_t_c: true, unit: TimeUnit::MICROS };
    let string = || Some(LogicalType::String);
    let header = Type::group_type_builder("element")
        .with_repetition(Repetition::REQUIRED)
        .with_id(Some(11))
        .with_fields(vec![
            leaf("key", Physical::BYTE_ARRAY, Repetition::REQUIRED, string(), 12)?,
            leaf("value", Physical::BYTE_ARRAY, Repetition::OPTIONAL, None, 13)?,
        ])
        .build()?;
    let list =
        Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![Arc::new(header)]);
    let headers = Type::group_type_builder("headers")
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::List))
        .with_id(Some(6))
        .with_fields(vec![Arc::new(list.build()?)])
        .build()?;
    let fields = vec![
        leaf("partition", Physical::INT32, Repetition::REQUIRED, None, 1)?,
        leaf("log_offset", Physical::INT64, Repetition::REQUIRED, None, 2)?,
        leaf("timestamp", Physical::INT64, Repetition::OPTIONAL, Some(micros), 3)?,
        leaf("timestamp_type", Physical::INT32, Repetition::REQUIRED, None, 9)?,
        leaf("leader_epoch", Physical::INT32, Repetition::REQUIRED, None, 10)?,
        leaf("key", Physical::BYTE_ARRAY, Repetition::OPTIONAL, string(), 4)?,
        leaf("key_raw", Physical::BYTE_ARRAY, Repetition::OPTIONAL, None, 7)?,
        Arc::new(headers),
        leaf("value_raw", Physical::BYTE_ARRAY, Repetition::OPTIONAL, None, 8)?,
        leaf("value", Physical::BYTE_ARRAY, Repetition::OPTIONAL, string(), 5)?,
    ];
    Ok(Arc::new(Type::group_type_builder("record").with_fields(fields).build()?))
}

fn leaf(
    name: &str,
    physical: Physical,
    repetition: Repetition,
    logical: Option<LogicalType>,
    id: i32,
) -> Result<TypePtr> {
    let leaf = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .with_id(Some(id))
        .build()?;
    Ok(Arc::new(leaf))
}

/// Different keys of a block that its Bloom filter is laid out for.
fn bloom_keys(spec: &SegmentSpec) -> u64 {
    (spec.block_bytes / 64).max(1)
}

/// Bytes of the Bloom filter of a block at most: so many bits as its keys need, up to the next power of two.
pub(super) fn bloom_bytes_max(spec: &SegmentSpec) -> u64 {
    let bits = bloom_keys(spec).saturating_mul(10); // 9.6 a key, for one wrong answer in a hundred
    if spec.key_bloom { (bits / 8).next_power_of_two() } else { 0 }
}

/// How the Parquet crate writes its columns.
pub(super) fn properties(spec: &SegmentSpec) -> Result<WriterPropertiesPtr> {
    let path = |column: Column| ColumnPath::new(column.path().split('.').map(str::to_owned).collect());
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("esker version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(spec.zstd_level)?))
        .set_encoding(Encoding::PLAIN)
        .set_dictionary_enabled(false)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_data_page_row_count_limit(1)
        .set_data_page_size_limit(UNBOUNDED)
        .set_write_batch_size(UNBOUNDED)
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_sorting_columns(Some(vec![SortingColumn {
            column_idx: Column::LogOffset as i32,
            descending: false,
            nulls_first: false,
        }]));
    for column in [Column::LogOffset, Column::Timestamp] {
        builder = builder
            .set_column_encoding(path(column), Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(path(column), EnabledStatistics::Page);
    }
    for column in [Column::Partition, Column::TimestampType, Column::LeaderEpoch] {
        builder = builder.set_column_statistics_enabled(path(column), EnabledStatistics::Chunk);
    }
    for column in [Column::Key, Column::KeyRaw, Column::HeaderKey] {
        builder = builder.set_column_dictionary_enabled(path(column), true);
    }
    if spec.key_bloom {
        let column = if spec.key_type == ColumnType::Binary { Column::KeyRaw } else { Column::Key };
        builder = builder
            .set_column_bloom_filter_enabled(path(column), true)
            .set_column_bloom_filter_fpp(path(column), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_ndv(path(column), bloom_keys(spec));
    }
    Ok(Arc::new(builder.build()))
}
