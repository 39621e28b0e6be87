//! Looking things up in a manifest and its pages; pure.
