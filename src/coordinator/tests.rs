mod model;
mod running;
