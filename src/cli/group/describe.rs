//! `esker group describe`: who is in a group, and how far it has read.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{Format, called, connect, print, unknown};
use crate::cli::failure::Failure;
use crate::cli::source::BrokerArg;
use crate::cli::table;
use crate::kafka::client::groups::{Group, Place};
use crate::kafka::client::{Client, LATEST};

/// Flags of `esker group describe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esker group describe readers
  esker group describe readers --format json | jq '[.partitions[].lag] | add'")]
pub struct Args {
    /// Group id
    group: String,
    /// Tables, or one JSON object
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    broker: BrokerArg,
}

/// A partition of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    place: Place,
    /// Where the group goes on, if it has said so.
    committed: Option<i64>,
    /// Where the log ends; none if the partition is gone.
    end: Option<i64>,
    /// Position in the list of members of the one that has it.
    member: Option<usize>,
}

impl Row {
    fn lag(&self) -> Option<i64> {
        Some(self.end?.saturating_sub(self.committed?).max(0))
    }
}

/// `esker group describe`.
pub async fn run(args: Args) -> Result<(), Failure> {
    let client = connect(&args.broker).await?;
    let coordinator = client.coordinator(&args.group).await.map_err(Failure::of)?;
    let group = coordinator.group(&args.group).await.map_err(Failure::of)?;
    let group = group.ok_or_else(|| Failure::Failed(unknown(&args.group)))?;
    let committed = coordinator.committed(&args.group).await.map_err(Failure::of)?;
    let places: BTreeSet<Place> =
        committed.keys().chain(group.members.iter().flat_map(|member| &member.assignment)).cloned().collect();
    let ends = ends(&client, &places).await?;
    let rows = rows(&group, &committed, &ends, places);
    print(&match args.format {
        Format::Text => text(&args.group, &group, &rows),
        Format::Json => object(&args.group, &group, &rows),
    })
}

/// Where the logs end.
async fn ends(client: &Client, places: &BTreeSet<Place>) -> Result<BTreeMap<Place, i64>, Failure> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for place in places {
        topics.entry(&place.topic).or_default().push(place.partition);
    }
    let mut ends = BTreeMap::new();
    for (topic, partitions) in topics {
        // A member may still have partitions of a topic that was deleted a moment ago.
        let Ok(found) = client.list_offsets(topic, &partitions, LATEST, false).await else { continue };
        ends.extend(
            found.into_iter().map(|end| (Place { topic: topic.to_owned(), partition: end.partition }, end.offset)),
        );
    }
    Ok(ends)
}

fn rows(
    group: &Group,
    committed: &BTreeMap<Place, i64>,
    ends: &BTreeMap<Place, i64>,
    places: BTreeSet<Place>,
) -> Vec<Row> {
    let row = |place: Place| Row {
        committed: committed.get(&place).copied(),
        end: ends.get(&place).copied(),
        member: group.members.iter().position(|member| member.assignment.contains(&place)),
        place,
    };
    places.into_iter().map(row).collect()
}

fn text(id: &str, group: &Group, rows: &[Row]) -> String {
    let assignor = if group.assignor.is_empty() { String::new() } else { format!(", {}", group.assignor) };
    let mut text = format!("group {id}: {}, {}{assignor}\n", group.state, group.kind);
    if !group.members.is_empty() {
        let columns = [("MEMBER", false), ("CLIENT", false), ("HOST", false), ("PARTITIONS", false)];
        let members = group.members.iter().map(|member| {
            let client = member.instance_id.as_ref().unwrap_or(&member.client_id).clone();
            let host = member.host.trim_start_matches('/').to_owned();
            vec![member.id.clone(), client, host, assignment(&member.assignment)]
        });
        text.push('\n');
        text.push_str(&table::render(&columns, members.collect()));
    }
    if !rows.is_empty() {
        let columns = [
            ("TOPIC", false),
            ("PARTITION", true),
            ("COMMITTED", true),
            ("END", true),
            ("LAG", true),
            ("MEMBER", false),
        ];
        let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
        let row = |row: &Row| {
            let member = row.member.and_then(|at| group.members.get(at)).map_or("-".to_owned(), called);
            let (topic, partition) = (row.place.topic.clone(), row.place.partition.to_string());
            vec![topic, partition, number(row.committed), number(row.end), number(row.lag()), member]
        };
        text.push('\n');
        text.push_str(&table::render(&columns, rows.iter().map(row).collect()));
    }
    text
}

/// Partitions in short: `t:0,1 u:3`, as `esker group reset --topic` takes them.
fn assignment(places: &[Place]) -> String {
    let mut topics: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for place in places {
        topics.entry(&place.topic).or_default().insert(place.partition);
    }
    if topics.is_empty() {
        return "-".to_owned();
    }
    let topic = |(topic, partitions): (&str, BTreeSet<i32>)| {
        format!("{topic}:{}", partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    };
    topics.into_iter().map(topic).collect::<Vec<_>>().join(" ")
}

fn object(id: &str, group: &Group, rows: &[Row]) -> String {
    let place = |place: &Place| json!({"topic": place.topic, "partition": place.partition});
    let members = group.members.iter().map(|member| {
        json!({
            "member": member.id, "instance": member.instance_id, "client": member.client_id, "host": member.host,
            "partitions": member.assignment.iter().map(place).collect::<Vec<_>>(),
        })
    });
    let partitions = rows.iter().map(|row| {
        json!({
            "topic": row.place.topic, "partition": row.place.partition, "committed": row.committed, "end": row.end,
            "lag": row.lag(), "member": row.member.and_then(|at| group.members.get(at)).map(|member| &member.id),
        })
    });
    let object = json!({
        "group": id, "type": group.kind, "state": group.state, "assignor": group.assignor,
        "members": members.collect::<Vec<_>>(), "partitions": partitions.collect::<Vec<_>>(),
    });
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::client::groups::GroupMember;

    fn place(partition: i32) -> Place {
        Place { topic: "t".to_owned(), partition }
    }

    fn example() -> (Group, Vec<Row>) {
        let member = GroupMember {
            id: "c-1".to_owned(),
            instance_id: None,
            client_id: "c".to_owned(),
            host: "/10.0.0.1".to_owned(),
            assignment: vec![place(1), place(0)],
        };
        let group = Group { kind: "classic", state: "Stable".into(), assignor: "range".into(), members: vec![member] };
        let committed = [(place(0), 5), (place(2), 9)].into();
        let ends = [(place(0), 7), (place(1), 3), (place(2), 8)].into();
        let rows = rows(&group, &committed, &ends, [place(0), place(1), place(2)].into());
        (group, rows)
    }

    #[test]
    fn what_is_committed_and_what_is_assigned_is_shown_with_its_lag() {
        let (group, rows) = example();
        assert_eq!(
            text("g", &group, &rows),
            "group g: Stable, classic, range\n\n\
             MEMBER  CLIENT  HOST      PARTITIONS\n\
             c-1     c       10.0.0.1  t:0,1\n\n\
             TOPIC  PARTITION  COMMITTED  END  LAG  MEMBER\n\
             t              0          5    7    2  c at 10.0.0.1\n\
             t              1          -    3    -  c at 10.0.0.1\n\
             t              2          9    8    0  -\n"
        );
    }

    #[test]
    fn programs_get_one_object_on_one_line() {
        let (group, rows) = example();
        let line = object("g", &group, &rows);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(
            read["partitions"][0],
            json!({"topic": "t", "partition": 0, "committed": 5, "end": 7, "lag": 2, "member": "c-1"})
        );
        assert_eq!(read["partitions"][1]["lag"], serde_json::Value::Null);
        assert_eq!(read["members"][0]["partitions"][1], json!({"topic": "t", "partition": 0}));
    }
}
