//! Nobody but patient frames waits for companions.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::super::drive::Signal;
use super::super::queue::{Queue, QueueLimits, Ready};
use super::*;

/// How often the writer was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn queue() -> (Queue, Arc<Woken>) {
    let limits =
        QueueLimits { file_bytes: FILE, group_max_bytes: FILE, reserve: 0, budget: 4 * FILE, dir: "wal".into() };
    let (signal, woken) = (Arc::new(Signal::default()), Arc::new(Woken::default()));
    signal.wakes(Waker::from(woken.clone()));
    let queue = Queue::new(limits, signal);
    assert!(matches!(queue.ready(FILE), Ready::Nothing));
    (queue, woken)
}

fn append(world: &World, patient: bool) -> Append {
    Append { patient, ..world.frame(0, 1, 100, false) }
}

#[test]
fn the_writer_waits_while_all_frames_are_patient() {
    let fs = FaultyFs::new();
    let world = World::open(&fs, &options()).unwrap();
    for order in [vec![false], vec![true, false], vec![false, true], vec![true; 3]] {
        let (queue, _) = queue();
        order.iter().for_each(|patient| queue.push(append(&world, *patient)).unwrap());
        assert_eq!(queue.gather(3, true, false), Some(order.len()), "it need not wait");
    }
    // An impatient frame ends a wait that has begun.
    let (queue, woken) = queue();
    queue.push(append(&world, true)).unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1, "the first frame wakes");
    assert_eq!(queue.gather(usize::MAX, true, false), None);
    queue.push(append(&world, true)).unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    queue.push(append(&world, false)).unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), 2);
    assert_eq!(queue.gather(usize::MAX, true, false), Some(3));
    // What was taken does not count any more.
    let mut group = Vec::new();
    queue.take(FILE, &mut group);
    assert_eq!(group.len(), 3);
    queue.push(append(&world, true)).unwrap();
    assert_eq!(queue.gather(2, true, false), None);
    assert_eq!(queue.gather(2, true, true), Some(1), "the time is over");
}
