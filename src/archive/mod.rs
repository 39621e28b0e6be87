//! Row 3: what lies in the bucket.
//!
//! - [`segment`]: one immutable Parquet object of one partition: encoder, footer, reader, proof.
pub mod segment;
