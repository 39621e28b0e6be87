//! Slices of larger buffers, put together where they lie side by side.
use std::ops::Range;

use bytes::Bytes;

/// Collects slices in order.
pub(crate) struct Pieces {
    join: bool,
    copy: bool,
    open: Option<(Bytes, Range<usize>)>,
    done: Vec<Bytes>,
}

impl Pieces {
    /// With `join`, neighbours become one piece; with `copy`, pieces do not keep their buffers alive.
    pub fn new(join: bool, copy: bool) -> Self {
        Self { join, copy, open: None, done: Vec::new() }
    }

    /// Adds a slice of `base`.
    pub fn push(&mut self, base: &Bytes, range: Range<usize>) {
        match &mut self.open {
            Some((open, begun)) if self.join && open.as_ptr() == base.as_ptr() && begun.end == range.start => {
                begun.end = range.end;
            }
            _ => {
                self.close();
                self.open = Some((base.clone(), range));
            }
        }
    }

    /// All pieces.
    pub fn finish(mut self) -> Vec<Bytes> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if let Some((base, range)) = self.open.take() {
            self.done.push(if self.copy { Bytes::copy_from_slice(&base[range]) } else { base.slice(range) });
        }
    }
}
