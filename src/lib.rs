//! Esker: a tiered log. A stream comes in through a local write-ahead log; what it leaves behind is a table in a bucket.
//!
//! # Promises
//! 1. Acknowledged means durable. 2. Any offset, one call. 3. One copy: a sealed segment is a Parquet file and a table's
//!    data file. 4. Exact. 5. The bucket describes itself. 6. Offsets and producer ids are never used twice. 7. Bounded.
//!    8. Clear refusal.
//!
//! # Glossary
//! *record*: offset, timestamp, key, value, headers. *batch*: Kafka v2 record batch. *WAL*: the hot tier, one write-ahead
//! log per broker. *group*: what one sync covers; *frame*: one batch or state change in it. *segment*: one immutable Parquet
//! object of one partition. *block*: one row group of a segment. *slice*: about 1 MiB of payload on page borders. *gap*: a
//! range of offsets without records, with its reason. *chain*: numbered objects written with create-if-absent only.
//! *manifest*: the chain that lists a partition's live segments and gaps. *seal*: turn a range of the WAL into a segment.
//! *commit*: make it visible by writing the next version of a chain. *mover*: the task that seals, uploads, commits and
//! releases WAL space. *high watermark*: end of what is durable and visible. *LSO*: end of what is decided. *epoch*: number
//! of a broker's life on this bucket.
//!
//! # Layers
//! A module uses only modules in strictly lower rows; modules in one row do not know each other.
//! `tests/it/layers.rs` checks it.
//! ```text
//! 9 cli
//! 8 server                 the only place that wires things together
//! 7 config                 gathers each module's options: flags, ESKER_* variables, esker.toml
//! 6 kafka | http           translate, never decide
//! 5 coordinator            groups and their offsets, transactions
//! 4 log                    the only place that knows there are two tiers
//! 3 wal | archive          never import each other
//! 2 record | store         batch codec, pure | object store with retry and counters; chains
//! 1 base                   clock, random, limits, metrics, tasks
//! ```
pub mod archive;
pub mod base;
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod http;
pub mod kafka;
pub mod log;
pub mod record;
pub mod server;
pub mod store;
pub mod wal;

pub use log::{BucketLog, Log};
