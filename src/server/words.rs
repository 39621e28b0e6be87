//! What the server says at its start and its end: lines for people on stderr, events for machines.
use std::fmt::Write;
use std::time::Duration;

use crate::config::units::show_size;
use crate::config::{Config, HostPort, LogFormat};
use crate::log::{StartReport, StopReport};

/// Says lines in the shape of the log.
#[derive(Debug, Clone, Copy)]
pub struct Voice(pub LogFormat);

impl Voice {
    /// Says a text of one or more lines.
    pub fn say(self, text: &str) {
        match self.0 {
            LogFormat::Text => eprintln!("{}", text.trim_end()),
            LogFormat::Json => {
                text.lines().filter(|line| !line.is_empty()).for_each(|line| tracing::info!("{}", line.trim()));
            }
        }
    }
}

/// A bound listener for the words.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its name.
    pub name: String,
    /// What was bound, with the real port.
    pub bound: HostPort,
    /// What clients are told.
    pub advertised: HostPort,
}

/// All that the words at the start are about.
#[derive(Debug)]
pub struct Ready<'a> {
    /// The settings.
    pub config: &'a Config,
    /// Where Kafka clients connect.
    pub kafka: &'a [Heard],
    /// Where HTTP is served.
    pub http: &'a HostPort,
    /// URL of the bucket.
    pub store: &'a str,
    /// Budget of the WAL in bytes.
    pub wal_bytes: u64,
    /// What the log found.
    pub report: &'a StartReport,
    /// How long the start took.
    pub took: Duration,
    /// How this program was called, for lines that can be pasted.
    pub program: &'a str,
}

/// Where it listens, where it stores, what it recovered, and what to type next.
pub fn ready(ready: &Ready<'_>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, what: &str| {
        let _ = writeln!(text, "{name:<9}{what}");
    };
    line("esker", &format!("{}, ready after {:.2} s", env!("CARGO_PKG_VERSION"), ready.took.as_secs_f64()));
    for one in ready.kafka {
        let name = if ready.kafka.len() > 1 { format!(" ({})", one.name) } else { String::new() };
        let advertised = match one.advertised == one.bound {
            true => String::new(),
            false => format!(", clients are told {}", one.advertised),
        };
        line("kafka", &format!("{}{name}{advertised}", one.bound));
    }
    line("http", &format!("http://{}  (/healthz /readyz /metrics)", ready.http));
    let (cluster, epoch) = (ready.report.cluster_id, ready.report.epoch);
    line("bucket", &format!("{}  (cluster {cluster}, epoch {epoch})", ready.store));
    let budget = show_size(ready.wal_bytes);
    line("data", &format!("{}  (write-ahead log of up to {budget})", ready.config.data.display()));
    for found in &ready.report.lines {
        line("", found);
    }
    line("next", &next_steps(ready));
    text
}

/// Two commands that work when pasted into another terminal.
fn next_steps(ready: &Ready<'_>) -> String {
    let at = ready.kafka.first().map(|one| one.advertised.to_string()).filter(|at| at != "127.0.0.1:9092");
    let broker = at.map(|at| format!(" --broker {at}")).unwrap_or_default();
    let program = ready.program;
    format!("echo hello | {program} produce demo{broker}\n{:9}{program} consume demo --from earliest{broker}", "")
}

/// How the stop ended.
pub fn stopped(report: &StopReport, store: &str, took: Duration) -> String {
    let took = took.as_secs_f64();
    if report.released {
        return format!(
            "stopped after {took:.1} s: all records are in {store}; it is released, any disk may serve it next"
        );
    }
    let mut text =
        format!("stopped after {took:.1} s; the bucket is not released: these are in the write-ahead log only");
    for line in &report.unsealed {
        let _ = write!(text, "\n  {line}");
    }
    text.push_str("\nstart again on this data directory to go on");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> HostPort {
        text.parse().unwrap()
    }

    fn said(kafka: &[Heard]) -> String {
        let report = StartReport { epoch: 3, lines: vec!["recovered 7 records".to_owned()], ..StartReport::default() };
        ready(&Ready {
            config: &Config::default(),
            kafka,
            http: &at("127.0.0.1:8082"),
            store: "file:///b",
            wal_bytes: 1 << 30,
            report: &report,
            took: Duration::from_millis(40),
            program: "target/release/esker",
        })
    }

    #[test]
    fn the_start_says_where_what_and_what_next() {
        let main = Heard { name: "main".into(), bound: at("127.0.0.1:9092"), advertised: at("127.0.0.1:9092") };
        let text = said(std::slice::from_ref(&main));
        let parts =
            ["kafka    127.0.0.1:9092\n", "http://127.0.0.1:8082", "file:///b", "epoch 3", "1.0 GiB", "7 records"];
        for part in parts {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(text.contains("echo hello | target/release/esker produce demo\n"), "{text}");
    }

    #[test]
    fn other_addresses_are_named_where_they_differ() {
        let out = Heard { name: "out".into(), bound: at("0.0.0.0:9093"), advertised: at("example.org:443") };
        let main = Heard { name: "main".into(), bound: at("127.0.0.1:19092"), advertised: at("127.0.0.1:19092") };
        let text = said(&[main, out]);
        assert!(text.contains("0.0.0.0:9093 (out), clients are told example.org:443"), "{text}");
        assert!(text.contains("produce demo --broker 127.0.0.1:19092"), "{text}");
    }

    #[test]
    fn the_end_says_whether_the_bucket_is_whole() {
        let clean = StopReport { released: true, unsealed: Vec::new() };
        assert!(stopped(&clean, "file:///b", Duration::ZERO).contains("released, any disk"));
        let rest = StopReport { released: false, unsealed: vec!["t/0: offsets 3 to 9".to_owned()] };
        assert!(stopped(&rest, "file:///b", Duration::ZERO).contains("\n  t/0: offsets 3 to 9\n"));
    }
}
