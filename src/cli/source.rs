//! Which log a command is about: a running broker, or a bucket read directly.
use clap::Args;

use super::ask::Broker;
use super::failure::Failure;
use crate::config::HostPort;

/// Address of a broker when nobody says one.
const BROKER: &str = "127.0.0.1:9092";
/// HTTP address of a broker when nobody says one.
const HTTP: &str = "127.0.0.1:8082";

/// `--broker`.
#[derive(Debug, Clone, Default, Args)]
pub struct BrokerArg {
    /// Broker to talk to [default: $ESKER_BROKER, else 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    broker: Option<String>,
}

/// `--http`.
#[derive(Debug, Clone, Default, Args)]
pub struct HttpArg {
    /// HTTP address of the broker [default: $ESKER_HTTP, else 127.0.0.1:8082]
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
}

/// `--store`.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArg {
    /// Read this bucket directly, with no broker: file:///dir, s3://bucket/prefix, gs://, az:// [default: $ESKER_STORE]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// A broker or a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A broker's address.
    Broker(HostPort),
    /// A bucket's URL.
    Store(String),
}

impl BrokerArg {
    /// The broker: the flag, else the variable, else the default.
    pub fn address(&self) -> Result<HostPort, Failure> {
        address(self.broker.as_deref(), "--broker", "ESKER_BROKER", BROKER)
    }
}

impl HttpArg {
    /// The HTTP address: the flag, else the variable, else the default.
    pub fn address(&self) -> Result<HostPort, Failure> {
        address(self.http.as_deref(), "--http", "ESKER_HTTP", HTTP)
    }
}

/// What the flags and variables say: a flag wins over a variable, and `ESKER_STORE` over `ESKER_BROKER`.
pub fn choose(broker: &BrokerArg, store: &StoreArg) -> Result<Source, Failure> {
    match store_of(broker.broker.as_deref(), "--broker", store)? {
        Some(url) => Ok(Source::Store(url)),
        None => broker.address().map(Source::Broker),
    }
}

/// As [`choose`], for commands that ask a broker over HTTP.
pub fn choose_http(http: &HttpArg, store: &StoreArg) -> Result<Source, Failure> {
    match store_of(http.http.as_deref(), "--http", store)? {
        Some(url) => Ok(Source::Store(url)),
        None => http.address().map(Source::Broker),
    }
}

/// The bucket, if that is what the flags and variables ask for.
fn store_of(other: Option<&str>, flag: &str, store: &StoreArg) -> Result<Option<String>, Failure> {
    match (other, &store.store) {
        (Some(_), Some(_)) => Err(Failure::Usage(format!(
            "{flag} asks a broker and --store reads the bucket without one: give one of them"
        ))),
        (None, Some(url)) => Ok(Some(url.clone())),
        (Some(_), None) => Ok(None),
        (None, None) => Ok(variable("ESKER_STORE")),
    }
}

fn address(flag: Option<&str>, name: &str, env: &str, default: &str) -> Result<HostPort, Failure> {
    let (place, text) = match (flag, variable(env)) {
        (Some(text), _) => (name, text.to_owned()),
        (None, Some(text)) => (env, text),
        (None, None) => (name, default.to_owned()),
    };
    text.parse().map_err(|e| Failure::Usage(format!("{place}: {e}")))
}

/// A variable of the environment that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// The URL of the bucket: the one that is named, else the one that the broker says it has.
pub async fn bucket_url(http: &HttpArg, store: &StoreArg) -> Result<String, Failure> {
    match choose_http(http, store)? {
        Source::Store(url) => Ok(url),
        Source::Broker(address) => Ok(Broker::at(address)?.about().await?.store),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(broker: Option<&str>, store: Option<&str>) -> Result<Source, Failure> {
        let text = |text: Option<&str>| text.map(str::to_owned);
        choose(&BrokerArg { broker: text(broker) }, &StoreArg { store: text(store) })
    }

    #[test]
    fn a_flag_says_which_log_is_meant() {
        let broker = chosen(Some("10.0.0.1:1"), None).unwrap();
        assert_eq!(broker, Source::Broker("10.0.0.1:1".parse().unwrap()));
        assert_eq!(chosen(None, Some("s3://b/p")).unwrap(), Source::Store("s3://b/p".to_owned()));
    }

    #[test]
    fn two_logs_at_once_and_addresses_that_are_none_are_wrong_usage() {
        assert!(matches!(chosen(Some("10.0.0.1:1"), Some("s3://b/p")), Err(Failure::Usage(_))));
        let refused = chosen(Some("10.0.0.1"), None).unwrap_err();
        assert!(matches!(&refused, Failure::Usage(text) if text.starts_with("--broker: '10.0.0.1'")), "{refused}");
    }
}
