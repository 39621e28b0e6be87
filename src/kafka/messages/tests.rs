//! Tests of the codec: against the kafka-protocol crate, against bytes written by hand, and against garbage.
mod garbage;
pub(in crate::kafka) mod generate;
mod known;
mod oracle;
