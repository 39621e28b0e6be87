//! Random lives of a WAL against a model: bursts, releases, condensing, clean stops, kills, power cuts.
use proptest::prelude::*;

use super::*;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Frames of these lengths, all at once.
    Burst(Vec<usize>),
    /// The older part of what is there is in the bucket: so many percent.
    Release(u64),
    /// The oldest file that can be is condensed to the frames of one partition.
    Condense(i32),
    Stop,
    Kill,
    /// The power goes after so many operations of a burst.
    Cut(u64, u64, Vec<usize>),
}

fn lens() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![4 => 0usize..300, 3 => 300usize..6000, 1 => 6000usize..40_000], 1..14)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => lens().prop_map(Step::Burst),
        1 => (0u64..100).prop_map(Step::Release),
        1 => (0..3).prop_map(Step::Condense),
        1 => Just(Step::Stop),
        1 => Just(Step::Kill),
        2 => (0u64..30, any::<u64>(), lens()).prop_map(|(n, seed, lens)| Step::Cut(n, seed, lens)),
    ];
    prop::collection::vec(step, 1..16)
}

/// What must be there, may be there, and was ever written.
#[derive(Default)]
struct Model {
    next: u64,
    lens: BTreeMap<u64, usize>,
    /// Acknowledged and neither released nor condensed away.
    needed: BTreeMap<u64, Done>,
}

impl Model {
    /// Appends a burst; returns how many were taken.
    fn burst(&mut self, world: &World, lens: &[usize]) -> usize {
        let mut taken = 0;
        for len in lens {
            let token = self.next;
            match world.append((token % 3) as i32, token, *len) {
                Ok(()) => taken += 1,
                Err(WalError::NoSpace { .. } | WalError::Failed(_)) => continue,
                Err(other) => panic!("{other}"),
            }
            self.lens.insert(token, *len);
            self.next += 1;
        }
        taken
    }

    fn acknowledged(&mut self, acks: &[Done]) {
        self.needed.extend(acks.iter().map(|done| (done.token, *done)));
    }

    fn check_readable(&self, world: &World) {
        let positions: Vec<_> = self.needed.values().map(|d| d.position).collect();
        for (pieces, (token, _)) in world.wal.read(&positions, false).unwrap().iter().zip(&self.needed) {
            assert_eq!(pieces, &body(*token, self.lens[token]), "frame {token}");
        }
    }

    fn check_image(&self, fs: &FaultyFs) {
        let found = image(fs, &options()).unwrap();
        assert!(found.recovered.damage.is_empty(), "{:?}", found.recovered.damage);
        for (token, done) in &self.needed {
            assert!(found.has(done, self.lens[token]), "frame {token} is lost");
        }
        let mut newest = BTreeMap::new();
        for (token, (position, payload)) in &found.frames {
            let len = self.lens.get(token).unwrap_or_else(|| panic!("nobody wrote frame {token}"));
            assert_eq!(payload.as_deref(), Some(&body(*token, *len)[..]));
            let before = newest.insert(token % 3, *position);
            assert!(before.is_none_or(|b: Position| b < *position), "a partition's frames are in order");
        }
    }
}

/// Runs the steps; returns nothing, for every step checks.
fn live(steps: Vec<Step>) {
    let mut fs = FaultyFs::new();
    let mut model = Model::default();
    let mut world = World::open(&fs, &options()).unwrap();
    for step in steps {
        match step {
            Step::Burst(lens) => {
                let before = world.acks.all().len();
                let taken = model.burst(&world, &lens);
                assert!(world.acks.wait(before + taken, || false));
                model.acknowledged(&world.acks.all()[before..]);
            }
            Step::Release(percent) => {
                let below = world.wal.durable_group() * percent / 100;
                world.wal.release_below(below);
                model.needed.retain(|_, done| done.position.group >= below);
            }
            Step::Condense(partition) => {
                let files = world.wal.space().files;
                let Some(file) = files.iter().rev().skip(1).find(|f| !f.kept) else { continue };
                let keep = |meta: &FrameMeta, _: u64| meta.partition == partition;
                if let Ok(Condensed::Done { .. }) = world.wal.condense(file.file, &keep) {
                    let gone = |d: &Done| d.position.file == file.file && d.meta.partition != partition;
                    model.needed.retain(|_, done| !gone(done));
                }
            }
            Step::Stop => {
                world.wal.close().unwrap();
                drop(world);
                model.check_image(&fs);
                world = World::open(&fs, &options()).unwrap();
            }
            Step::Kill => {
                fs = fs.after_kill();
                model.check_image(&fs);
                world = World::open(&fs, &options()).unwrap();
            }
            Step::Cut(nth, seed, lens) => {
                let before = world.acks.all().len();
                fs.cut_power_at(nth);
                model.burst(&world, &lens);
                let _ = world.wal.close();
                model.acknowledged(&world.acks.all()[before..]);
                fs = fs.crash(&Random::seeded(seed));
                model.check_image(&fs);
                world = World::open(&fs, &options()).unwrap();
            }
        }
        model.check_readable(&world);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_needed_frames_are_there_and_no_others_than_written(steps in steps()) {
        live(steps);
    }
}
