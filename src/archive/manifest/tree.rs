//! The tree of pages; pure.
use super::model::PageRef;

/// A page that has to be loaded before the question can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need(pub PageRef);
