//! `esker topic`: create, list, describe, alter, delete.
use std::collections::BTreeMap;
use std::io::Write;

use super::failure::Failure;
use super::source::{BrokerArg, Source, StoreArg, choose};
use super::tap::Tap;
use super::{bucket, table};
use crate::config::topic_value;
use crate::kafka::client::{Client, ClientOptions, SettingChange};

/// Flags of `esker topic`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    action: Action,
}

/// What can be done with topics.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Create a topic
    Create {
        /// Topic: letters, digits, '.', '_' and '-'
        name: String,
        /// Number of partitions [default: the broker's num.partitions]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        partitions: Option<i32>,
        /// A setting; sizes and times may have units, as in retention.ms=7d
        #[arg(long = "config", value_name = "KEY=VALUE", num_args = 1..)]
        configs: Vec<String>,
        #[command(flatten)]
        broker: BrokerArg,
    },
    /// List topics, one name a line
    List {
        #[command(flatten)]
        broker: BrokerArg,
        #[command(flatten)]
        store: StoreArg,
    },
    /// Show a topic's id, partitions with their offsets, and settings
    Describe {
        /// Topic
        name: String,
        #[command(flatten)]
        broker: BrokerArg,
        #[command(flatten)]
        store: StoreArg,
    },
    /// Add partitions, change settings
    Alter {
        /// Topic
        name: String,
        /// Number of partitions that there shall be; there can only be more
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        partitions: Option<i32>,
        /// A setting; KEY= alone goes back to its default
        #[arg(long = "config", value_name = "KEY=[VALUE]", num_args = 1..)]
        configs: Vec<String>,
        #[command(flatten)]
        broker: BrokerArg,
    },
    /// Delete a topic and, in time, its objects
    Delete {
        /// Topic
        name: String,
        #[command(flatten)]
        broker: BrokerArg,
    },
}

/// `esker topic`.
pub async fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Create { name, partitions, configs, broker } => {
            let settings = pairs(&configs)?;
            let made = connect(&broker).await?.create_topic(&name, partitions, &settings).await.map_err(Failure::of)?;
            eprintln!("topic '{name}' was created with {made} partitions");
            Ok(())
        }
        Action::List { broker, store } => list(&choose(&broker, &store)?).await,
        Action::Describe { name, broker, store } => describe(&choose(&broker, &store)?, &name).await,
        Action::Alter { name, partitions, configs, broker } => {
            if partitions.is_none() && configs.is_empty() {
                return Err(Failure::Usage("nothing to alter: give --partitions N or --config KEY=VALUE".to_owned()));
            }
            let changes = pairs(&configs)?.into_iter().map(|(key, value)| match value.is_empty() {
                true => (key, SettingChange::Delete),
                false => (key, SettingChange::Set(value)),
            });
            alter(&connect(&broker).await?, &name, partitions, changes.collect()).await
        }
        Action::Delete { name, broker } => {
            let client = connect(&broker).await?;
            let topics = client.topics(Some(&[&name]), false).await.map_err(Failure::of)?;
            for topic in topics {
                client.delete_topic(&topic).await.map_err(Failure::of)?;
            }
            eprintln!("topic '{name}' was deleted; its objects go in the background");
            Ok(())
        }
    }
}

async fn connect(broker: &BrokerArg) -> Result<Client, Failure> {
    Client::connect(&broker.address()?.to_string(), ClientOptions::default()).await.map_err(Failure::of)
}

async fn alter(
    client: &Client,
    name: &str,
    partitions: Option<i32>,
    changes: BTreeMap<String, SettingChange>,
) -> Result<(), Failure> {
    if !changes.is_empty() {
        client.alter_settings(name, &changes).await.map_err(Failure::of)?;
        eprintln!("settings of topic '{name}' were changed");
    }
    if let Some(total) = partitions {
        client.create_partitions(name, total).await.map_err(Failure::of)?;
        eprintln!("topic '{name}' has {total} partitions");
    }
    Ok(())
}

async fn list(source: &Source) -> Result<(), Failure> {
    let mut names: Vec<String> = match source {
        Source::Broker(address) => {
            let client = Client::connect(&address.to_string(), ClientOptions::default()).await.map_err(Failure::of)?;
            client.topics(None, false).await.map_err(Failure::of)?.into_iter().map(|topic| topic.name).collect()
        }
        Source::Store(url) => {
            bucket::topics(&bucket::open(url).await?, None).await?.iter().map(|topic| topic.name.clone()).collect()
        }
    };
    names.sort();
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::of_stdout)
}

async fn describe(source: &Source, name: &str) -> Result<(), Failure> {
    let tap = Tap::open(source, name).await?;
    let (id, settings) = match &tap {
        Tap::Broker { client, topic } => {
            let own = client.settings(name).await.map_err(Failure::of)?.into_iter().filter(|one| one.is_topics_own);
            (topic.id, own.map(|one| (one.name, one.value)).collect::<BTreeMap<_, _>>())
        }
        Tap::Bucket(topic) => (topic.info.id, topic.info.settings.clone()),
    };
    let mut rows = Vec::new();
    for partition in tap.partitions(None)? {
        let (start, end) = tap.ends(partition).await?;
        rows.push(vec![partition.to_string(), start.to_string(), end.to_string()]);
    }
    let mut text = format!("topic {name}, id {id}\n");
    for (key, value) in settings {
        text.push_str(&format!("{key}={value}\n"));
    }
    text.push_str(&table::render(&[("PARTITION", true), ("FIRST", true), ("END", true)], rows));
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::of_stdout)
}

/// Pairs of `--config`, with sizes and times in whole numbers.
fn pairs(configs: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |text: &String| {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("--config {text}: expected key=value, as in retention.ms=7d")))?;
        let key = key.trim();
        let value = topic_value(key, value).map_err(|e| Failure::Usage(format!("--config {key}: {e}")))?;
        Ok((key.to_owned(), value))
    };
    configs.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_pairs_with_whole_numbers() {
        let texts = ["retention.ms=7d", "esker.seal.bytes=64MiB", "retention.bytes=-1", "cleanup.policy="];
        let pairs = pairs(&texts.map(str::to_owned)).unwrap();
        let expected = [
            ("cleanup.policy", ""),
            ("esker.seal.bytes", "67108864"),
            ("retention.bytes", "-1"),
            ("retention.ms", "604800000"),
        ];
        assert!(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).eq(expected));
    }

    #[test]
    fn what_is_no_pair_is_wrong_usage() {
        for text in ["retention.ms", "retention.ms=7 parsecs"] {
            assert!(matches!(pairs(&[text.to_owned()]), Err(Failure::Usage(_))), "{text}");
        }
    }
}
