pub(super) mod journal;
mod migration;
mod model;
mod running;
