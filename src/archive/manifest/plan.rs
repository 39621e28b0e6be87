//! A change on a head gives the next version; pure.
