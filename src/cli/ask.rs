//! Questions to a running broker over HTTP.
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::config::HostPort;
use crate::http::status::Body;
use crate::http::{About, Scope};
use crate::log::PartitionLayout;

/// A broker's HTTP address. Sealing takes as long as it takes, so there is no time-out once the broker has answered the
/// connection.
pub struct Broker {
    client: reqwest::Client,
    address: HostPort,
}

impl Broker {
    /// For this address.
    pub fn at(address: HostPort) -> Result<Self, Failure> {
        let connect_timeout = std::time::Duration::from_secs(10);
        let client = reqwest::Client::builder().no_proxy().connect_timeout(connect_timeout).build();
        Ok(Self { client: client.map_err(Failure::of)?, address })
    }

    /// Who it is and where its bucket lies.
    pub async fn about(&self) -> Result<About, Failure> {
        self.answer(self.client.get(self.url("/v1/broker"))).await
    }

    /// What lies where.
    pub async fn segments(&self, scope: &Scope) -> Result<Vec<PartitionLayout>, Failure> {
        self.answer(self.client.get(self.url("/v1/segments")).query(scope)).await
    }

    /// Seals now and waits for it.
    pub async fn seal(&self, scope: &Scope) -> Result<Vec<PartitionLayout>, Failure> {
        self.answer(self.client.post(self.url("/v1/seal")).query(scope)).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, Failure> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        if !status.is_success() {
            let text = serde_json::from_slice::<Body>(&body).map(|body| body.error);
            return Err(Failure::Failed(text.unwrap_or_else(|_| self.stranger(&format!("status {status}")))));
        }
        serde_json::from_slice(&body).map_err(|e| Failure::Failed(self.stranger(&e.to_string())))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let at = &self.address;
        let what = if error.is_connect() { "no answer from" } else { "the connection was lost to" };
        let cause = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source()).last();
        let cause = cause.map(ToString::to_string).unwrap_or_default();
        Failure::Failed(format!(
            "{what} {at} ({cause}): is `esker serve` running, and is this its HTTP address? \
             Another one is named with --http HOST:PORT or ESKER_HTTP; --store URL reads the bucket with no broker"
        ))
    }

    fn stranger(&self, detail: &str) -> String {
        format!("{} does not answer like esker ({detail}): is it the HTTP address of `esker serve`?", self.address)
    }
}
