//! `esker group`: consumer groups, which this version does not have.
use super::failure::Failure;

/// What `group` and `consume --group` answer.
pub const NO_GROUPS: &str = "consumer groups are not available in this version: \
    read with assigned partitions instead, for example `esker consume TOPIC --partition 0 --from OFFSET`";

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
    /// List all groups
    List,
    /// Show members, offsets and lag of a group
    Describe {
        /// Group id
        group: String,
    },
    /// Move the committed offsets of a group
    Reset {
        /// Group id
        group: String,
    },
    /// Delete a group
    Delete {
        /// Group id
        group: String,
    },
}

/// Refuses, by name.
pub fn run(args: &Args) -> Result<(), Failure> {
    let what = match &args.action {
        Action::List => "group list".to_owned(),
        Action::Describe { group } => format!("group describe {group}"),
        Action::Reset { group } => format!("group reset {group}"),
        Action::Delete { group } => format!("group delete {group}"),
    };
    Err(Failure::Failed(format!("{what}: {NO_GROUPS}")))
}
