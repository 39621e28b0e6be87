//! What happens to the disk.
use super::*;

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
}
