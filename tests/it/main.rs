//! Properties of the whole: one binary, split by what it looks at.
mod layers;
