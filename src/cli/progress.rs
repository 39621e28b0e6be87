//! Progress on stderr, for people: drawn only where stderr is a terminal, and gone when the work is done.
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Draws a second: more would only flicker.
const DRAWS_PER_SECOND: u8 = 4;

/// A count that is shown while it rises.
pub struct Progress {
    bar: ProgressBar,
    count: u64,
}

impl Progress {
    /// A count of things whose number is not known.
    pub fn counter(things: &'static str) -> Self {
        let style = ProgressStyle::with_template(&format!("{{pos}} {things}, {{per_sec}}"));
        Self::drawn(None, style)
    }

    /// A count up to `total` bytes.
    pub fn bytes(total: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {binary_bytes} of {binary_total_bytes}, {eta} to go  {msg}");
        Self::drawn(Some(total), style)
    }

    /// Something that takes its time and says nothing meanwhile.
    pub fn waiting(what: &str) -> Self {
        let progress = Self::drawn(None, ProgressStyle::with_template("{spinner} {msg}, {elapsed}"));
        progress.at(what);
        progress
    }

    fn drawn(total: Option<u64>, style: Result<ProgressStyle, indicatif::style::TemplateError>) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, count: 0 }
    }

    /// More of it.
    pub fn add(&mut self, count: u64) {
        self.count += count;
        self.bar.inc(count);
    }

    /// What is being done now.
    pub fn at(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Takes the line away; returns the count.
    pub fn finish(self) -> u64 {
        self.bar.finish_and_clear();
        self.count
    }
}
