//! `esker group`: list, describe, reset, delete.
mod describe;
mod plan;
mod reset;

use std::io::Write;

use serde_json::json;

use super::failure::Failure;
use super::source::BrokerArg;
use crate::kafka::client::groups::{GroupMember, ListedGroup};
use crate::kafka::client::{Client, ClientOptions};
use crate::kafka::errors::ErrorCode;

/// Flags of `esker group`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

/// What can be done with groups.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List groups, one a line
    List {
        /// The names alone, or a JSON object a line with group, type, state and protocol
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        #[command(flatten)]
        broker: BrokerArg,
    },
    /// Show a group's state, its members and what they have, how far it has read and how far that is behind
    Describe(describe::Args),
    /// Move the committed offsets of a group; shows what would be done, and does it with --execute
    Reset(reset::Args),
    /// Delete groups without members, and their committed offsets with them
    Delete {
        /// Group ids
        #[arg(required = true, value_name = "GROUP")]
        groups: Vec<String>,
        #[command(flatten)]
        broker: BrokerArg,
    },
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `esker group`.
pub async fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::List { format, broker } => list(&connect(&broker).await?, format).await,
        Action::Describe(args) => describe::run(args).await,
        Action::Reset(args) => reset::run(args).await,
        Action::Delete { groups, broker } => delete(&connect(&broker).await?, &groups).await,
    }
}

async fn connect(broker: &BrokerArg) -> Result<Client, Failure> {
    Client::connect(&broker.address()?.to_string(), ClientOptions::default()).await.map_err(Failure::of)
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::of_stdout)
}

async fn list(client: &Client, format: Format) -> Result<(), Failure> {
    let mut groups = client.groups().await.map_err(Failure::of)?;
    groups.sort_by(|a, b| a.id.cmp(&b.id));
    let line = |group: ListedGroup| match format {
        Format::Text => format!("{}\n", group.id),
        Format::Json => {
            let ListedGroup { id, kind, state, protocol_type } = group;
            format!("{}\n", json!({"group": id, "type": kind, "state": state, "protocol": protocol_type}))
        }
    };
    print(&groups.into_iter().map(line).collect::<String>())
}

/// Deletes all that can be deleted, and then says which could not.
async fn delete(client: &Client, groups: &[String]) -> Result<(), Failure> {
    let mut refused = Vec::new();
    for group in groups {
        let coordinator = client.coordinator(group).await.map_err(Failure::of)?;
        match coordinator.delete_group(group).await {
            Ok(()) => eprintln!("group '{group}' was deleted with its offsets"),
            Err(error) if error.code() == Some(ErrorCode::NonEmptyGroup) => {
                let members = coordinator.group(group).await.map_err(Failure::of)?.map(|group| group.members);
                refused.push(occupied(group, &members.unwrap_or_default()));
            }
            Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => refused.push(unknown(group)),
            Err(error) => refused.push(error.to_string()),
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(Failure::Failed(refused.join("\nesker: "))) }
}

fn unknown(group: &str) -> String {
    format!("there is no group '{group}'; `esker group list` shows those that there are")
}

/// That a group has members, who they are, and what to do about it.
fn occupied(group: &str, members: &[GroupMember]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<String> = members.iter().take(SHOWN).map(called).collect();
    if members.len() > SHOWN {
        names.push(format!("{} more", members.len() - SHOWN));
    }
    let names = if names.is_empty() { "on their way in".to_owned() } else { names.join(", ") };
    format!("group '{group}' has members ({names}): stop them first, or wait until they count as dead")
}

/// A member as people know it.
fn called(member: &GroupMember) -> String {
    let name = member.instance_id.as_ref().unwrap_or(&member.client_id);
    format!("{name} at {}", member.host.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(n: usize) -> GroupMember {
        GroupMember {
            id: format!("c-{n}"),
            instance_id: (n == 0).then(|| "zero".to_owned()),
            client_id: "c".to_owned(),
            host: format!("/10.0.0.{n}"),
            assignment: Vec::new(),
        }
    }

    #[test]
    fn members_that_stand_in_the_way_are_named() {
        let few = occupied("g", &[member(0), member(1)]);
        assert!(few.contains("(zero at 10.0.0.0, c at 10.0.0.1)"), "{few}");
        let many = occupied("g", &(0..9).map(member).collect::<Vec<_>>());
        assert!(many.contains("c at 10.0.0.4, 4 more)"), "{many}");
    }
}
