//! Row 9: the command line: what users type and scripts rely on.
//!
//! Data goes to stdout, words go to stderr. Exit code 0: done, 1: failed, 2: wrong usage. Each command has a file; what
//! they share: [`source`] (broker or bucket), [`point`] (from, to), [`input`] and [`output`] (records as lines),
//! [`failure`] (how it ends).
mod ask;
mod bucket;
mod consume;
pub mod failure;
mod fsck;
mod group;
pub mod input;
pub mod output;
pub mod partitioner;
pub mod point;
mod produce;
mod progress;
mod segments;
mod serve;
pub mod source;
mod table;
mod tap;
mod topic;
mod verify;
mod wal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use failure::Failure;

/// A tiered log: Kafka clients write and read it, and what it leaves in the bucket is a table
#[derive(Debug, Parser)]
#[command(name = "esker", version, arg_required_else_help = true, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker
    Serve(serve::Args),
    /// Create, list, describe, alter or delete topics
    Topic(topic::Args),
    /// Write lines of stdin to a topic
    Produce(produce::Args),
    /// Read records of a topic to stdout
    Consume(consume::Args),
    /// List, describe, reset or delete consumer groups
    Group(group::Args),
    /// Seal to the bucket now, and wait for it
    Seal(segments::SealArgs),
    /// Show what lies where: segments, gaps, the hot range
    Segments(segments::Args),
    /// Read every segment and prove its hashes
    Verify(verify::Args),
    /// Check the whole bucket: what is wrong, missing, or nobody's
    Fsck(fsck::Args),
    /// Look after a damaged or orphaned write-ahead log
    Wal(wal::Args),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.end(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args),
        Command::Wal(args) => wal::run(args),
        other => {
            crate::server::logging::begin("warn", crate::config::LogFormat::Text);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::of)?;
            let ended = runtime.block_on(ask(other));
            // A thread that waits for a line of stdin must not keep the process alive.
            runtime.shutdown_background();
            ended
        }
    }
}

/// Commands that wait for a broker or a bucket.
async fn ask(command: Command) -> Result<(), Failure> {
    match command {
        Command::Topic(args) => topic::run(args).await,
        Command::Produce(args) => produce::run(args).await,
        Command::Consume(args) => consume::run(args).await,
        Command::Group(args) => group::run(args).await,
        Command::Seal(args) => segments::seal(args).await,
        Command::Segments(args) => segments::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Fsck(args) => fsck::run(args).await,
        Command::Serve(_) | Command::Wal(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn points_that_begin_with_a_dash_are_values() {
        for line in [
            "esker consume t --from -1h --to -5m",
            "esker consume t --from=-1h30m --format json --partition 0",
            "esker group reset g --topic t:0,1 --topic u --shift -100",
            "esker group reset g --from-file - --execute",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }

    #[test]
    fn wrong_usage_is_refused_before_anything_is_done() {
        for line in [
            "esker nothing",
            "esker consume",
            "esker consume t --follow --to latest",
            "esker consume t --from yesterday",
            "esker produce t --codec rar",
            "esker topic create t --partitions 0",
            "esker topic create",
            "esker consume t --group g --partition 0",
            "esker consume t --group g --store file:///b",
            "esker group delete",
            "esker group reset g --all-topics",
            "esker group reset g --all-topics --to-earliest --to-latest",
            "esker group reset g --all-topics --topic t --to-earliest",
            "esker group reset g --topic t:x --to-earliest",
            "esker group reset g --all-topics --to-offset -1",
            "esker group reset g --all-topics --to-time 42",
            "esker group reset g --topic t --from-file f",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
