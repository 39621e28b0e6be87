//! `esker group reset`: moves committed offsets. A dry run, unless it is told to do it.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::plan::{Chosen, Goal, Move, offsets, plan};
use super::{connect, occupied, print};
use crate::base::Clock;
use crate::cli::failure::Failure;
use crate::cli::point::Point;
use crate::cli::source::BrokerArg;
use crate::cli::table;
use crate::kafka::client::groups::Place;
use crate::kafka::client::{Client, EARLIEST, LATEST};

/// Flags of `esker group reset`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is changed without --execute, and with it only while the group has no members. An offset outside of the log goes to
the nearest end of it.

Examples:
  esker group reset readers --all-topics --to-earliest
  esker group reset readers --topic orders --to-time 2026-01-31T12:00 --execute
  esker group reset readers --topic orders:0,3 --shift -100 --execute
  esker group reset readers --all-topics --by-duration 1h30m --execute
  esker group reset readers --all-topics --shift 0 --format csv > saved.csv
  esker group reset readers --from-file saved.csv --execute")]
pub struct Args {
    /// Group id; one that is not there yet is made
    group: String,
    /// A topic, or some of its partitions; may be given several times
    #[arg(long = "topic", value_name = "TOPIC[:P,P]", conflicts_with = "all_topics")]
    topics: Vec<Chosen>,
    /// All topics of which the group has committed offsets
    #[arg(long)]
    all_topics: bool,
    #[command(flatten)]
    to: To,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// A table; a JSON object a line; or topic,partition,offset, as --from-file reads it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    broker: BrokerArg,
}

/// Where to.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct To {
    /// To the first offset that may be read
    #[arg(long)]
    to_earliest: bool,
    /// To the end
    #[arg(long)]
    to_latest: bool,
    /// To this offset
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// To the first record at or after a time: 2026-01-31, 2026-01-31T12:00:00+01:00; UTC where no zone is given
    #[arg(long, value_name = "TIME", value_parser = time)]
    to_time: Option<i64>,
    /// To the first record at or after the time that was so long ago: 90s, 1h30m, 7d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    by_duration: Option<u64>,
    /// So many offsets forwards, or backwards (-100), from where the group is
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    shift: Option<i64>,
    /// To the offsets in a file, topic,partition,offset a line ('-' for stdin)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["topics", "all_topics"])]
    from_file: Option<PathBuf>,
}

/// How the plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table.
    Table,
    /// One JSON object a line: group, topic, partition, old, new, note.
    Json,
    /// As `--from-file` reads it.
    Csv,
}

fn time(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(Point::Time(ms)) => Ok(ms),
        _ => Err("expected a time: 2026-01-31, 2026-01-31T12:00 or 2026-01-31T12:00:00+01:00".to_owned()),
    }
}

fn duration(text: &str) -> Result<u64, String> {
    match format!("-{text}").parse() {
        Ok(Point::Ago(ms)) => Ok(ms),
        _ => Err("expected a length of time: 90s, 1h30m, 7d".to_owned()),
    }
}

/// `esker group reset`.
pub async fn run(args: Args) -> Result<(), Failure> {
    if args.topics.is_empty() && !args.all_topics && args.to.from_file.is_none() {
        return Err(Failure::Usage(
            "which offsets? give --topic TOPIC (or TOPIC:0,3), --all-topics, or --from-file FILE".to_owned(),
        ));
    }
    let listed = args.to.from_file.as_deref().map(read).transpose()?;
    let client = connect(&args.broker).await?;
    let coordinator = client.coordinator(&args.group).await.map_err(Failure::of)?;
    let committed = coordinator.committed(&args.group).await.map_err(Failure::of)?;
    let mut moves = Vec::new();
    for (topic, partitions) in chosen(&client, &args, &committed, listed.as_ref()).await? {
        moves.extend(planned(&client, &args, (&topic, &partitions), &committed, listed.as_ref()).await?);
    }
    if moves.is_empty() {
        let group = &args.group;
        return Err(Failure::Failed(format!(
            "group '{group}' has no committed offset that this could move: --topic TOPIC with --to-earliest or another \
             place sets one"
        )));
    }
    let group = coordinator.group(&args.group).await.map_err(Failure::of)?;
    let members = group.map(|group| group.members).unwrap_or_default();
    if args.execute {
        if !members.is_empty() {
            return Err(Failure::Failed(occupied(&args.group, &members)));
        }
        let offsets = moves.iter().map(|one| (one.place.clone(), one.new)).collect();
        coordinator.commit(&args.group, None, &offsets).await.map_err(Failure::of)?;
    }
    print(&shown(&args.group, args.format, &moves))?;
    match (args.execute, members.is_empty()) {
        (true, _) => eprintln!("group '{}': {} offsets were set", args.group, moves.len()),
        (false, true) => eprintln!("nothing was changed: --execute does it"),
        (false, false) => eprintln!("nothing was changed, and {}", occupied(&args.group, &members)),
    }
    Ok(())
}

fn read(path: &Path) -> Result<BTreeMap<Place, i64>, Failure> {
    let name = path.display();
    let text = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    let text = text.map_err(|e| Failure::Failed(format!("--from-file {name}: {e}")))?;
    let offsets = offsets(&text).map_err(|e| Failure::Failed(format!("--from-file {name}, {e}")))?;
    if offsets.is_empty() {
        return Err(Failure::Failed(format!("--from-file {name}: there are no offsets in it")));
    }
    Ok(offsets)
}

/// The partitions that are meant, by topic; each is there.
async fn chosen(
    client: &Client,
    args: &Args,
    committed: &BTreeMap<Place, i64>,
    listed: Option<&BTreeMap<Place, i64>>,
) -> Result<BTreeMap<String, Vec<i32>>, Failure> {
    let mut wanted: BTreeMap<String, Option<Vec<i32>>> = BTreeMap::new();
    for place in listed.into_iter().flat_map(BTreeMap::keys) {
        wanted
            .entry(place.topic.clone())
            .or_insert_with(|| Some(Vec::new()))
            .get_or_insert_default()
            .push(place.partition);
    }
    if args.all_topics {
        wanted.extend(committed.keys().map(|place| (place.topic.clone(), None)));
    }
    for chosen in &args.topics {
        let partitions = wanted.entry(chosen.topic.clone()).or_insert_with(|| Some(Vec::new()));
        match (partitions.as_mut(), &chosen.partitions) {
            (Some(partitions), Some(more)) => partitions.extend(more),
            _ => *partitions = None,
        }
    }
    let mut places = BTreeMap::new();
    for (topic, partitions) in wanted {
        let found = client.topics(Some(&[&topic]), false).await.map_err(Failure::of)?;
        let count = found.first().map_or(0, |topic| topic.partitions);
        let mut partitions = partitions.unwrap_or_else(|| (0..count).collect());
        partitions.sort_unstable();
        partitions.dedup();
        if let Some(partition) = partitions.iter().find(|partition| **partition >= count) {
            return Err(Failure::Failed(format!(
                "topic '{topic}' has no partition {partition}: it has {count}, from 0 to {}",
                count - 1
            )));
        }
        places.insert(topic, partitions);
    }
    Ok(places)
}

/// What becomes of the offsets of one topic.
async fn planned(
    client: &Client,
    args: &Args,
    (topic, partitions): (&str, &[i32]),
    committed: &BTreeMap<Place, i64>,
    listed: Option<&BTreeMap<Place, i64>>,
) -> Result<Vec<Move>, Failure> {
    let ask = async |timestamp| {
        let found = client.list_offsets(topic, partitions, timestamp, false).await.map_err(Failure::of)?;
        Ok::<BTreeMap<i32, i64>, Failure>(found.into_iter().map(|found| (found.partition, found.offset)).collect())
    };
    let (starts, ends) = (ask(EARLIEST).await?, ask(LATEST).await?);
    let time = match (args.to.to_time, args.to.by_duration) {
        (Some(ms), _) => Some(ms),
        (_, Some(ago)) => Some(Clock::real().now_ms().saturating_sub_unsigned(ago)),
        _ => None,
    };
    // Below 0 are the protocol's special questions; no record is asked for by a time before 1970.
    let at_time = match time {
        Some(ms) => Some(ask(ms.max(0)).await?),
        None => None,
    };
    let mut moves = Vec::new();
    for &partition in partitions {
        let place = Place { topic: topic.to_owned(), partition };
        let (Some(&start), Some(&end)) = (starts.get(&partition), ends.get(&partition)) else {
            return Err(Failure::Failed("the broker's answer is incomplete".to_owned()));
        };
        let old = committed.get(&place).copied();
        let goal = match (&at_time, args.to.shift, listed) {
            (Some(found), ..) => Goal::AtTime(found.get(&partition).copied().filter(|offset| *offset >= 0)),
            (_, Some(by), _) => Goal::Shift(by),
            (.., Some(listed)) => Goal::To(listed.get(&place).copied().unwrap_or(start)),
            _ if args.to.to_latest => Goal::To(end),
            _ => Goal::To(args.to.to_offset.unwrap_or(start)),
        };
        match plan(place, old, (start, end), goal) {
            Some(one) => moves.push(one),
            None => eprintln!("esker: {topic}/{partition}: nothing is committed, so there is nothing to shift"),
        }
    }
    Ok(moves)
}

fn shown(group: &str, format: Format, moves: &[Move]) -> String {
    let line = |one: &Move| {
        let Move { place: Place { topic, partition }, old, new, note } = one;
        match format {
            Format::Csv => format!("{topic},{partition},{new}\n"),
            _ => {
                let line = json!({
                    "group": group, "topic": topic, "partition": partition, "old": old, "new": new, "note": note
                });
                format!("{line}\n")
            }
        }
    };
    let row = |one: &Move| {
        let old = one.old.map_or("-".to_owned(), |old| old.to_string());
        let note = one.note.clone().unwrap_or_default();
        vec![one.place.topic.clone(), one.place.partition.to_string(), old, one.new.to_string(), note]
    };
    match format {
        Format::Table => {
            let columns = [("TOPIC", false), ("PARTITION", true), ("OLD", true), ("NEW", true), ("", false)];
            table::render(&columns, moves.iter().map(row).collect())
        }
        Format::Json | Format::Csv => moves.iter().map(line).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_shown_for_people_programs_and_from_file() {
        let place = Place { topic: "t".to_owned(), partition: 3 };
        let note = Some("not 9: the log ends at 7".to_owned());
        let moves = [
            Move { place: place.clone(), old: None, new: 7, note },
            Move { place: Place { partition: 10, ..place }, old: Some(5), new: 6, note: None },
        ];
        let table = shown("g", Format::Table, &moves);
        let expected = "TOPIC  PARTITION  OLD  NEW\n\
                        t              3    -    7  not 9: the log ends at 7\n\
                        t             10    5    6\n";
        assert_eq!(table, expected);
        let csv = shown("g", Format::Csv, &moves);
        assert_eq!(csv, "t,3,7\nt,10,6\n");
        assert_eq!(offsets(&csv).unwrap().len(), 2);
        let json = shown("g", Format::Json, &moves);
        let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!((first["old"].is_null(), &first["new"]), (true, &json!(7)));
    }

    #[test]
    fn times_and_lengths_of_time_are_told_apart() {
        assert_eq!(time("1970-01-02"), Ok(86_400_000));
        assert_eq!(duration("1h30m"), Ok(5_400_000));
        for bad in ["42", "earliest", "-1h", "tomorrow"] {
            assert!(time(bad).is_err(), "{bad}");
        }
        for bad in ["90", "-1h", "", "2026-01-01"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
