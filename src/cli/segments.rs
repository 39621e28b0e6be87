//! `esker segments`: what lies where. `esker seal`: seal now, then the same picture in short.
use std::io::Write;

use super::ask::Broker;
use super::failure::Failure;
use super::point::show_ms;
use super::progress::Progress;
use super::source::{HttpArg, Source, StoreArg, choose_http};
use super::{bucket, table};
use crate::config::units::show_size;
use crate::http::Scope;
use crate::log::PartitionLayout;

/// Flags of `esker segments`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Topic
    topic: String,
    /// Only this partition
    #[arg(long, value_name = "P")]
    partition: Option<i32>,
    /// Print the URLs of the live objects, one a line, and nothing else
    #[arg(long)]
    paths: bool,
    #[command(flatten)]
    http: HttpArg,
    #[command(flatten)]
    store: StoreArg,
}

/// Flags of `esker seal`.
#[derive(Debug, clap::Args)]
pub struct SealArgs {
    /// Topic; all topics if none is given
    topic: Option<String>,
    #[command(flatten)]
    http: HttpArg,
}

/// `esker segments`.
pub async fn run(args: Args) -> Result<(), Failure> {
    let scope = Scope { topic: Some(args.topic), partition: args.partition };
    let layouts = match choose_http(&args.http, &args.store)? {
        Source::Broker(address) => Broker::at(address)?.segments(&scope).await?,
        Source::Store(url) => bucket::layout(&url, &scope).await?,
    };
    let text = if args.paths { paths(&layouts) } else { table(&layouts) };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::of_stdout)?;
    if !args.paths {
        eprintln!("{}", summary(&layouts));
    }
    layouts.iter().filter_map(|layout| layout.damaged.as_ref()).for_each(|why| eprintln!("damaged: {why}"));
    Ok(())
}

/// `esker seal`.
pub async fn seal(args: SealArgs) -> Result<(), Failure> {
    let scope = Scope { topic: args.topic, partition: None };
    let progress = Progress::waiting("sealing");
    let layouts = Broker::at(args.http.address()?)?.seal(&scope).await;
    progress.finish();
    let layouts = layouts?;
    let row = |one: &PartitionLayout| {
        let segments = one.entries.iter().filter(|entry| !entry.url.is_empty()).count();
        let unsealed = one.high_watermark - one.sealed_end;
        vec![
            one.topic.clone(),
            one.partition.to_string(),
            one.sealed_end.to_string(),
            unsealed.max(0).to_string(),
            segments.to_string(),
        ]
    };
    let columns = [("TOPIC", false), ("PARTITION", true), ("SEALED TO", true), ("UNSEALED", true), ("SEGMENTS", true)];
    let text = table::render(&columns, layouts.iter().map(row).collect());
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::of_stdout)
}

/// URLs of the live objects, one a line.
fn paths(layouts: &[PartitionLayout]) -> String {
    let entries = layouts.iter().flat_map(|layout| &layout.entries);
    entries.filter(|entry| !entry.url.is_empty()).map(|entry| format!("{}\n", entry.url)).collect()
}

const COLUMNS: [table::Column; 9] = [
    ("PARTITION", true),
    ("WHERE", false),
    ("FIRST", true),
    ("NEXT", true),
    ("RECORDS", true),
    ("PAYLOAD", true),
    ("STORED", true),
    ("RATIO", true),
    ("NEWEST", false),
];

/// A row for each segment and gap, and one for the hot range of each partition.
fn table(layouts: &[PartitionLayout]) -> String {
    let mut rows = Vec::new();
    for layout in layouts {
        let partition = layout.partition.to_string();
        for entry in &layout.entries {
            let segment = !entry.url.is_empty();
            let mut row = vec![
                partition.clone(),
                if segment { entry.kind.clone() } else { format!("gap: {}", entry.kind) },
                entry.first.to_string(),
                entry.next.to_string(),
            ];
            if segment {
                row.extend([
                    entry.records.to_string(),
                    show_size(entry.payload_bytes),
                    show_size(entry.stored_bytes),
                    ratio(entry.payload_bytes, entry.stored_bytes),
                    show_ms(entry.max_timestamp),
                ]);
            }
            rows.push(row);
        }
        if layout.damaged.is_some() {
            let mut row = vec![partition.clone(), "damaged".to_owned(), layout.sealed_end.to_string()];
            row.push(layout.high_watermark.to_string());
            rows.push(row);
        }
        if layout.hot_start < layout.high_watermark {
            let mut row = vec![partition, "hot".to_owned(), layout.hot_start.to_string()];
            row.extend([layout.high_watermark.to_string(), String::new(), String::new(), show_size(layout.hot_bytes)]);
            rows.push(row);
        }
    }
    for row in &mut rows {
        row.resize(COLUMNS.len(), String::new());
    }
    table::render(&COLUMNS, rows)
}

/// Payload bytes for each stored byte.
fn ratio(payload: u64, stored: u64) -> String {
    if stored == 0 {
        return "-".to_owned();
    }
    let tenths = u128::from(payload) * 10 / u128::from(stored);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// One sentence about all of it.
fn summary(layouts: &[PartitionLayout]) -> String {
    let segments = || layouts.iter().flat_map(|layout| &layout.entries).filter(|entry| !entry.url.is_empty());
    let sum = |field: fn(&crate::log::EntryLayout) -> u64| segments().map(field).sum::<u64>();
    let (payload, stored) = (sum(|e| e.payload_bytes), sum(|e| e.stored_bytes));
    let unsealed: i64 = layouts.iter().map(|one| (one.high_watermark - one.sealed_end).max(0)).sum();
    format!(
        "{} segments with {} records, {} of payload in {} (ratio {}); {} in the WAL, {unsealed} offsets not sealed yet",
        segments().count(),
        sum(|e| e.records),
        show_size(payload),
        show_size(stored),
        ratio(payload, stored),
        show_size(layouts.iter().map(|one| one.hot_bytes).sum()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::EntryLayout;

    fn layouts() -> Vec<PartitionLayout> {
        let entry = |kind: &str, first, next, url: &str| EntryLayout {
            kind: kind.to_owned(),
            first,
            next,
            records: if url.is_empty() { 0 } else { 10 },
            payload_bytes: if url.is_empty() { 0 } else { 6_400 },
            stored_bytes: if url.is_empty() { 0 } else { 1_024 },
            min_timestamp: None,
            max_timestamp: (!url.is_empty()).then_some(0),
            url: url.to_owned(),
        };
        vec![PartitionLayout {
            topic: "t".to_owned(),
            partition: 3,
            log_start: 0,
            sealed_end: 30,
            hot_start: 20,
            high_watermark: 42,
            hot_bytes: 512,
            damaged: None,
            entries: vec![
                entry("segment", 0, 10, "file:///b/1.parquet"),
                entry("wal-lost", 10, 20, ""),
                entry("segment", 20, 30, "file:///b/2.parquet"),
            ],
        }]
    }

    #[test]
    fn paths_are_those_of_live_objects_only() {
        assert_eq!(paths(&layouts()), "file:///b/1.parquet\nfile:///b/2.parquet\n");
    }

    #[test]
    fn the_table_shows_segments_gaps_and_the_hot_range() {
        let lines: Vec<String> =
            table(&layouts()).lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines[1..],
            [
                "3 segment 0 10 10 6.2 KiB 1.0 KiB 6.2 1970-01-01T00:00:00.000Z",
                "3 gap: wal-lost 10 20",
                "3 segment 20 30 10 6.2 KiB 1.0 KiB 6.2 1970-01-01T00:00:00.000Z",
                "3 hot 20 42 512 B",
            ]
        );
        let text = summary(&layouts());
        assert!(text.starts_with("2 segments with 20 records") && text.contains("12 offsets not sealed"), "{text}");
    }

    #[test]
    fn a_ratio_of_nothing_is_none() {
        assert_eq!((ratio(1, 0), ratio(66, 10)), ("-".to_owned(), "6.6".to_owned()));
    }
}
