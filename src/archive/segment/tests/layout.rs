//! What lies where, as other readers of Parquet see it.
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use parquet::schema::types::Type;

use super::schema::Column;
use super::*;

fn records(count: i64) -> Vec<Record> {
    let value = |offset| Some(Bytes::from(format!("value {offset} {}", "y".repeat(80))));
    (0..count).map(|offset| Record { offset, timestamp: offset, value: value(offset), ..Record::default() }).collect()
}

/// Paths, ids and repetitions of all fields.
fn fields(of: &Type, path: &str, out: &mut Vec<(String, Option<i32>, Repetition)>) {
    let info = of.get_basic_info();
    let path = if path.is_empty() { info.name().to_owned() } else { format!("{path}.{}", info.name()) };
    out.push((path.clone(), info.has_id().then(|| info.id()), info.repetition()));
    if of.is_group() {
        of.get_fields().iter().for_each(|field| fields(field, &path, out));
    }
}

#[test]
fn fields_have_the_ids_of_the_table() {
    const OPTIONAL: Repetition = Repetition::OPTIONAL;
    const REPEATED: Repetition = Repetition::REPEATED;
    const REQUIRED: Repetition = Repetition::REQUIRED;
    let schema = schema::schema().unwrap();
    let mut found = Vec::new();
    schema.get_fields().iter().for_each(|field| fields(field, "", &mut found));
    found.sort_by_key(|(_, id, _)| id.unwrap_or(100));
    let expected = [
        ("partition", Some(1), REQUIRED),
        ("log_offset", Some(2), REQUIRED),
        ("timestamp", Some(3), OPTIONAL),
        ("key", Some(4), OPTIONAL),
        ("value", Some(5), OPTIONAL),
        ("headers", Some(6), REQUIRED),
        ("key_raw", Some(7), OPTIONAL),
        ("value_raw", Some(8), OPTIONAL),
        ("timestamp_type", Some(9), REQUIRED),
        ("leader_epoch", Some(10), REQUIRED),
        ("headers.list.element", Some(11), REQUIRED),
        ("headers.list.element.key", Some(12), REQUIRED),
        ("headers.list.element.value", Some(13), OPTIONAL),
        ("headers.list", None, REPEATED),
    ];
    assert_eq!(found, expected.map(|(path, id, repetition)| (path.to_owned(), id, repetition)));
}

#[test]
fn columns_know_their_place_type_and_levels() {
    let descriptor = parquet::schema::types::SchemaDescriptor::new(schema::schema().unwrap());
    assert_eq!(descriptor.num_columns(), Column::COUNT);
    for (place, column) in Column::ALL.into_iter().enumerate() {
        let leaf = descriptor.column(place);
        assert_eq!((column as usize, column.path()), (place, leaf.path().string().as_str()));
        assert_eq!(column.physical(), leaf.physical_type());
        assert_eq!(i64::from(column.def_level_max()), i64::from(leaf.max_def_level()));
        assert_eq!(i64::from(column.rep_level_max()), i64::from(leaf.max_rep_level()));
        let is_text = matches!(column, Column::Key | Column::Value | Column::HeaderKey);
        assert_eq!(leaf.logical_type_ref() == Some(&LogicalType::String), is_text, "{}", column.path());
        assert!(!is_text || leaf.physical_type() == Physical::BYTE_ARRAY);
    }
}

#[test]
fn the_parquet_crates_own_reader_sees_the_rows_and_the_sorting() {
    let segment = encode(small(0), &records(50), 50);
    let reader = SerializedFileReader::new(segment.bytes).unwrap();
    assert!(reader.metadata().num_row_groups() > 1);
    let sorting = reader.metadata().row_group(0).sorting_columns().unwrap();
    assert_eq!((sorting[0].column_idx, sorting[0].descending), (Column::LogOffset as i32, false));
    for (index, row) in reader.get_row_iter(None).unwrap().enumerate() {
        let row = row.unwrap();
        assert_eq!((row.get_int(0).unwrap(), row.get_long(1).unwrap()), (3, index as i64));
        assert_eq!(row.get_timestamp_micros(2).unwrap(), 1000 * index as i64);
        assert!(row.get_string(9).unwrap().starts_with(&format!("value {index} ")));
    }
}

#[test]
fn every_column_has_one_page_per_slice_even_when_a_dictionary_is_given_up() {
    let key = |offset: i64| Some(Bytes::from(format!("{offset:0200}")));
    let records: Vec<Record> = records(6000).into_iter().map(|r| Record { key: key(r.offset), ..r }).collect();
    let spec = SegmentSpec { block_bytes: 8 << 20, slice_bytes: 64 << 10, ..SegmentSpec::new(TOPIC, 3, 0) };
    let segment = encode(spec, &records, 6000);
    let footer = segment.footer().unwrap();
    assert_eq!(footer.blocks().len(), 1);
    let (dictionary, page) = footer.pages(&footer.slices()[0], Column::Key);
    assert!(dictionary.is_some_and(|page| page.len < 400 << 10) && page.len > 0, "the dictionary was cut off");
    assert_eq!(segment.decode().unwrap(), records);
}

#[test]
fn nulls_between_values_take_more_levels_than_there_is_room_for() {
    let alternate = |r: Record| Record { value: r.value.filter(|_| r.offset % 2 == 0), ..r };
    let records: Vec<Record> = records(5000).into_iter().map(alternate).collect();
    let segment = encode(SegmentSpec::new(TOPIC, 3, 0), &records, 5000);
    assert_eq!(segment.decode().unwrap(), records);
    let reader = SerializedFileReader::new(segment.bytes).unwrap();
    for (record, row) in records.iter().zip(reader.get_row_iter(None).unwrap()) {
        assert_eq!(record.value.is_some(), row.unwrap().get_string(9).is_ok());
    }
}

#[test]
fn one_slice_takes_few_ranges_and_a_whole_block_takes_one() {
    let random = crate::base::Random::seeded(1);
    let text = || Some(Bytes::from(random.bytes::<512>().map(|b| b'a' + b % 16).to_vec()));
    let records: Vec<Record> = records(40_000).into_iter().map(|r| Record { value: text(), ..r }).collect();
    let segment = encode(SegmentSpec::new(TOPIC, 3, 0), &records, 40_000);
    let footer = segment.footer().unwrap();
    let middle = footer.ranges(10..11);
    assert!(middle.len() <= 2, "{middle:?}");
    let fetched: u64 = middle.iter().map(|range| range.end - range.start).sum();
    assert!(fetched < 1 << 20, "{fetched} bytes for a slice of 1 MiB that compresses to half of it");
    let all = footer.ranges(0..footer.slices().len());
    assert_eq!(all, vec![4..segment.meta.index_at]);
    assert!(footer.memory_bytes() < 64 << 10);
}

#[test]
fn a_key_bloom_filter_lies_within_what_the_entrys_checksum_covers() {
    let key = |offset: i64| Some(Bytes::from(format!("key {offset}")));
    let records: Vec<Record> = records(50).into_iter().map(|r| Record { key: key(r.offset), ..r }).collect();
    let segment = encode(SegmentSpec { key_bloom: true, ..small(0) }, &records, 50);
    let reader = SerializedFileReader::new(segment.bytes.clone()).unwrap();
    for block in reader.metadata().row_groups() {
        let at = block.column(Column::Key as usize).bloom_filter_offset().unwrap();
        assert!(at as u64 >= segment.meta.index_at);
    }
    assert_eq!(segment.decode().unwrap(), records);
}

#[test]
fn offset_and_timestamp_have_statistics_and_keys_and_values_count_their_nulls_only() {
    let set = |r: Record| Record {
        key: (r.offset % 5 > 0).then(|| Bytes::from("key")),
        value: match r.offset % 3 {
            0 => None,
            1 => Some(Bytes::from_static(b"\xff")),
            _ => r.value,
        },
        ..r
    };
    let records: Vec<Record> = records(60).into_iter().map(set).collect();
    let segment = encode(small(0), &records, 60);
    let reader = SerializedFileReader::new(segment.bytes.clone()).unwrap();
    let mut nulls = std::collections::BTreeMap::<i32, u64>::new();
    let mut bytes = nulls.clone();
    for block in reader.metadata().row_groups() {
        for column in Column::ALL {
            let chunk = block.column(column as usize);
            let bounded =
                chunk.statistics().is_some_and(|s| s.min_bytes_opt().is_some() && s.max_bytes_opt().is_some());
            let is_text = matches!(column, Column::Key | Column::KeyRaw | Column::Value | Column::ValueRaw);
            let is_header = matches!(column, Column::HeaderKey | Column::HeaderValue);
            assert_eq!(bounded, !is_text && !is_header, "{}", column.path());
            assert_eq!(chunk.statistics().is_some(), !is_header, "{}", column.path());
            let counted = chunk.statistics().and_then(|statistics| statistics.null_count_opt());
            *nulls.entry(column.id()).or_default() += counted.unwrap_or(0);
            *bytes.entry(column.id()).or_default() += chunk.compressed_size() as u64;
        }
    }
    assert_eq!((nulls[&3], nulls[&4], nulls[&7], nulls[&5], nulls[&8]), (0, 12, 60, 40, 40));
    assert!(segment.meta.null_counts.iter().all(|(id, count)| nulls[id] == *count));
    assert!(segment.meta.column_bytes.iter().copied().eq(bytes));
}

#[test]
fn the_bloom_filter_of_a_block_takes_no_more_than_is_reckoned_with() {
    let key = |offset: i64| Some(Bytes::from(format!("{offset:x}")));
    for count in [1, 50, 5000] {
        let spec = SegmentSpec { key_bloom: true, block_bytes: 64 << 10, ..small(0) };
        let records: Vec<Record> =
            (0..count).map(|offset| Record { offset, key: key(offset), ..Record::default() }).collect();
        let segment = encode(spec.clone(), &records, count);
        let reader = SerializedFileReader::new(segment.bytes.clone()).unwrap();
        for block in reader.metadata().row_groups() {
            let len = block.column(Column::Key as usize).bloom_filter_length().unwrap() as u64;
            assert!(len <= schema::bloom_bytes_max(&spec) + 64, "{len} for {} keys", block.num_rows());
        }
    }
    let real = SegmentSpec { key_bloom: true, ..SegmentSpec::new(TOPIC, 0, 0) };
    assert!(real.weight_max() >= 1 << 30, "{}", real.weight_max());
    assert_eq!(SegmentSpec::new(TOPIC, 0, 0).weight_max(), u64::MAX);
}
