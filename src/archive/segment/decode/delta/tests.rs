use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::data_type::Int64Type;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

use super::*;

/// The page of a required column that the parquet crate writes for these numbers.
fn encoded(numbers: &[i64]) -> Bytes {
    let schema = parse_message_type("message numbers { required int64 number; }").unwrap();
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BINARY_PACKED);
    let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties.build())).unwrap();
    let mut rows = file.next_row_group().unwrap();
    let mut column = rows.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(numbers, None, None).unwrap();
    column.close().unwrap();
    rows.close().unwrap();
    let file = SerializedFileReader::new(Bytes::from(file.into_inner().unwrap())).unwrap();
    let mut pages = file.get_row_group(0).unwrap().get_column_page_reader(0).unwrap();
    let page: Page = pages.get_next_page().unwrap().unwrap();
    assert_eq!(page.encoding(), Encoding::DELTA_BINARY_PACKED);
    assert_eq!(pages.get_next_page().unwrap().map(|page| page.num_values()), None, "one page holds them all");
    page.buffer().clone()
}

proptest! {
    #[test]
    fn what_the_parquet_crate_packs_comes_back(
        wild in prop::collection::vec(any::<i64>(), 1..600), tame in prop::collection::vec(0i64..1000, 1..600),
    ) {
        for numbers in [wild, tame] {
            let mut out = Vec::new();
            prop_assert_eq!(decode(&encoded(&numbers), numbers.len(), &mut out), Some(()));
            prop_assert_eq!(&out, &numbers);
            prop_assert_eq!(decode(&encoded(&numbers), numbers.len() + 1, &mut out), None);
        }
    }

    #[test]
    fn garbage_is_refused_or_decoded_but_never_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..1000,
    ) {
        let mut out = Vec::new();
        if decode(&bytes, count, &mut out).is_some() {
            prop_assert_eq!(out.len(), count);
        }
    }
}
