//! What happens to the disk.
use super::*;
use crate::wal::fs::FileSystem;

impl World {
    pub fn cut_power_soon(&mut self) {
        let operations = self.below(30);
        self.fs.cut_power_at(operations);
    }

    /// The power does not go any more in this life.
    pub fn power_stays(&mut self) {
        self.fs.cut_power_at(1 << 40);
    }

    pub fn power_is_off(&self) -> bool {
        self.fs.is_off()
    }

    /// Somebody else fills the disk, or makes room again.
    pub fn fill_the_disk(&mut self) {
        self.is_full = !self.is_full;
        self.note(format!("the disk is full: {}", self.is_full));
        self.bound_the_disk();
    }

    pub fn disk_has_room(&mut self) {
        self.is_full = false;
        self.bound_the_disk();
    }

    /// A full disk may be as full for the next life, or have room again.
    pub(super) fn disk_stays_full_or_not(&mut self) {
        self.is_full &= self.below(2) == 0;
        self.bound_the_disk();
    }

    fn bound_the_disk(&mut self) {
        self.fs.set_left_by_others(None);
        let space = self.fs.space(std::path::Path::new("/disk")).unwrap();
        let more = self.below(2 * FILE_BYTES);
        self.fs.set_left_by_others(self.is_full.then_some(space.total - space.free + more));
        if self.is_full {
            self.happened.insert("full disk");
        }
    }
}
