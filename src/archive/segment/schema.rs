//! The columns of a segment.
