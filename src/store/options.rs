//! Options of the store, with their defaults and bounds.
use serde::Deserialize;

/// How requests to the store are bounded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreOptions {
    /// Time for one attempt of a request, in ms. Default: 30,000. Minimum: 100.
    #[serde(rename = "store.request.timeout.ms")]
    pub request_timeout_ms: u64,
    /// Time to connect, in ms. Default: 5,000. Minimum: 100.
    #[serde(rename = "store.connect.timeout.ms")]
    pub connect_timeout_ms: u64,
    /// For how long a request that may be repeated is repeated, in ms. Default: 30,000. Minimum: 0 (one attempt).
    #[serde(rename = "store.retry.ms")]
    pub retry_ms: u64,
    /// Shortest wait between two attempts, in ms; doubles up to the longest. Default: 50. Minimum: 0.
    #[serde(rename = "store.backoff.ms")]
    pub backoff_ms: u64,
    /// Longest wait between two attempts, in ms. Default: 5,000. Minimum: the shortest.
    #[serde(rename = "store.backoff.max.ms")]
    pub backoff_max_ms: u64,
    /// Requests of one class (small objects, range reads, uploads) at once. Default: 64. Minimum: 1. Maximum: 10,000.
    #[serde(rename = "store.requests")]
    pub requests: usize,
    /// Bytes of one class on their way at once. Default: 64 MiB. Minimum: 8 MiB.
    #[serde(rename = "store.bytes")]
    pub bytes: u64,
    /// Make the directory of a `file://` store if it is missing. Cloud buckets are never made. Default: false.
    #[serde(skip)]
    pub create_directory: bool,
}

impl StoreOptions {
    /// Shortest time-out in ms.
    pub const TIMEOUT_MS_MIN: u64 = 100;
    /// Smallest `store.bytes`: one part of an upload.
    pub const BYTES_MIN: u64 = 8 << 20;
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            request_timeout_ms: 30_000,
            connect_timeout_ms: 5_000,
            retry_ms: 30_000,
            backoff_ms: 50,
            backoff_max_ms: 5_000,
            requests: 64,
            bytes: 64 << 20,
            create_directory: false,
        }
    }
}
