mod migration;
mod model;
mod running;
