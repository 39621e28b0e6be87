//! `esker serve`: settings out of flags, then the server.
use std::fmt::Write;
use std::path::PathBuf;

use super::failure::Failure;
use crate::config::keys::KEYS;
use crate::config::{Config, Sources};
use crate::coordinator::broker_settings::TABLE;
use crate::log::{Defaults, settings};
use crate::server::{self, Decisions};

/// Flags of `esker serve`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = settings_help())]
pub struct Args {
    /// Directory of the write-ahead log, and of the bucket unless --store says otherwise [default: ./esker-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// The bucket: file:///dir, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix [default: DIR/bucket]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Where Kafka clients connect: ADDR, or NAME=ADDR,advertised=ADDR; may be given several times [default: 127.0.0.1:9092]
    #[arg(long, value_name = "[NAME=]ADDR[,advertised=ADDR]")]
    listen: Vec<String>,
    /// What clients are told to connect to, when there is one listener [default: the bound address]
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// Address of health, metrics and the command line's own requests [default: 127.0.0.1:8082]
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
    /// Any setting by name; `esker serve --help` lists them
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Settings file [default: $ESKER_CONFIG, else ./esker.toml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take the bucket over from an owner that did not release it; what it did not seal is lost to the bucket
    #[arg(long)]
    take_over: bool,
    /// Probe again whether the bucket refuses to create what exists
    #[arg(long)]
    probe: bool,
    /// Listen beyond loopback although there is no authentication yet
    #[arg(long)]
    insecure: bool,
}

/// Runs the server until it is stopped.
pub fn run(args: Args) -> Result<(), Failure> {
    let config = gather(&args)?;
    let decisions = Decisions { take_over: args.take_over, probe: args.probe };
    server::run(&config, decisions).map_err(Failure::of)
}

/// The settings: file, variables, flags, `--set`.
fn gather(args: &Args) -> Result<Config, Failure> {
    let variable = std::env::var_os("ESKER_CONFIG").filter(|name| !name.is_empty()).map(PathBuf::from);
    let file = args.config.clone().or(variable);
    let usage = |e: crate::config::ConfigError| Failure::Usage(e.to_string());
    let mut sources = Sources::of_process(file.as_deref()).map_err(usage)?;
    let mut flag = |name: &'static str, value: Option<String>| {
        if let Some(value) = value {
            sources.flags.push((name, value));
        }
    };
    flag("--data", args.data.clone());
    flag("--store", args.store.clone());
    flag("--listen", (!args.listen.is_empty()).then(|| args.listen.join(" ")));
    flag("--advertise", args.advertise.clone());
    flag("--http", args.http.clone());
    flag("--insecure", args.insecure.then(|| "true".to_owned()));
    sources.sets.clone_from(&args.sets);
    Config::gather(&sources).map_err(usage)
}

/// Every setting with its default, for the long help.
fn settings_help() -> String {
    let mut text = String::from(
        "Settings, for --set, for esker.toml and, as ESKER_WAL_BYTES for wal.bytes, for the environment.\n\
         Flags win over variables, variables over the file. What was changed while the broker ran wins over all of them.\n\nBroker:\n",
    );
    for key in KEYS {
        let _ = writeln!(text, "  {} [{}]\n      {}", key.name, key.default, key.help);
    }
    text.push_str("\nBroker, and while it runs with Kafka's tools (kafka-configs --entity-type brokers):\n");
    for row in TABLE {
        let _ = writeln!(text, "  {} [{}]\n      {}", row.name, row.default(), row.doc);
    }
    text.push_str(
        "\nDefaults of topics, here and while it runs also by the names of Kafka's brokers (log.retention.ms):\n",
    );
    for setting in settings::describe(&Defaults::default(), &settings::Values::new()) {
        let _ = writeln!(text, "  {} [{}]\n      {}", setting.name, setting.default, setting.doc);
    }
    text
}
