//! Nobody but patient frames waits for companions.
use std::time::Duration;

use super::super::queue::{Queue, QueueLimits};
use super::*;

const LONG: Duration = Duration::from_secs(60);

fn queue() -> Queue {
    let limits =
        QueueLimits { file_bytes: FILE, group_max_bytes: FILE, reserve: 0, budget: 4 * FILE, dir: "wal".into() };
    let queue = Queue::new(limits);
    queue.set_active(FILE);
    queue
}

fn append(world: &World, patient: bool) -> Append {
    Append { patient, ..world.frame(0, 1, 100, false) }
}

#[test]
fn the_writer_waits_while_all_frames_are_patient() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    // Returns at once, or this would take minutes.
    for order in [vec![false], vec![true, false], vec![false, true], vec![true; 3]] {
        let queue = queue();
        order.iter().for_each(|patient| queue.push(append(&world, *patient)).unwrap());
        assert_eq!(queue.gather(3, LONG, true), order.len());
    }
    // An impatient frame ends a wait that has begun.
    let queue = queue();
    queue.push(append(&world, true)).unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            queue.push(append(&world, true)).unwrap();
            queue.push(append(&world, false)).unwrap();
        });
        assert_eq!(queue.gather(usize::MAX, LONG, true), 3);
    });
    // What was taken does not count any more.
    let mut group = Vec::new();
    queue.take(FILE, &mut group);
    assert_eq!(group.len(), 3);
    queue.push(append(&world, true)).unwrap();
    assert_eq!(queue.gather(2, Duration::from_millis(1), true), 1);
}
