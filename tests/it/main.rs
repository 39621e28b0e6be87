//! Properties of the whole: one binary, split by what it looks at.
#![allow(clippy::unwrap_used)] // helpers of tests are not in test functions
mod layers;
