//! Tests of the bucket's birth.
