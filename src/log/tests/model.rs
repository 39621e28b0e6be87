//! The log against a model of what it promised: random operations, faults and restarts on a disk, a store and a clock without
//! anything of the machine's, in one thread. After every step and every restart all readers must see what the model knows.
//!
//! `MODEL_CASES` says how many cases there are, `MODEL_SEED` with which the first begins: a case that failed says its own.
use super::*;
use world::{Ending, World};

mod truth;
mod world;

/// Steps of a case.
const STEPS: u64 = 60;

/// What has to happen in at least one case of twenty: what never happens proves nothing.
const OFTEN: [&str; 16] = [
    "condensed",
    "started over condensed",
    "took over",
    "cut",
    "refused",
    "fenced",
    "held back",
    "ambiguous",
    "died in a start",
    "died in a stop",
    "full disk",
    "damaged",
    "accepted",
    "compacted",
    "expired",
    "collected",
];

type Happened = BTreeMap<&'static str, u64>;

async fn case(seed: u64, happened: &mut Happened) {
    let mut world = World::new(seed).await;
    for _ in 0..STEPS {
        step(&mut world).await;
        world.judge().await;
    }
    // With the store back and nothing open, everything is sealed and released soon.
    world.disk_has_room();
    has_power(&mut world).await;
    world.mend().await;
    has_power(&mut world).await;
    world.heal().await;
    world.pass(Duration::from_secs(10)).await; // so that a store that refused is asked again
    world.end_all_transactions().await;
    world.pass(Duration::from_secs(20 * 60)).await;
    world.judge().await;
    world.is_sealed_and_released();
    let stopped = world.stop().await;
    assert!(stopped.released, "nothing is left, and it says: {stopped:?}");
    world.bucket_is_whole().await;
    world.on_an_empty_disk().await;
    world.judge().await;
    for what in world.happened() {
        *happened.entry(what).or_default() += 1;
    }
}

/// From now on the power stays.
async fn has_power(world: &mut World) {
    world.power_stays();
    while world.power_is_off() {
        world.restart(Ending::PowerCut).await;
        world.power_stays();
    }
}

async fn step(world: &mut World) {
    match world.below(100) {
        0..=14 => world.append().await,
        15..=24 => world.fill().await,
        25..=31 => world.append_idempotent().await,
        32..=36 => world.send_again().await,
        37..=46 => world.append_to_transaction().await,
        47..=53 => world.end_a_transaction().await,
        54..=58 => world.put_state().await,
        59..=63 => world.delete_records().await,
        64..=68 => world.seal().await,
        69..=76 => {
            let seconds = world.below(200);
            world.pass(Duration::from_secs(seconds)).await;
        }
        77..=79 => world.turn_the_store().await,
        80 => world.fill_the_disk(),
        81..=82 => world.damage_a_batch().await,
        83 => world.mend().await,
        84 => world.delete_or_create_a_topic().await,
        85..=86 => world.is_taken_over().await,
        87 => world.jump().await,
        88..=90 => world.restart(Ending::Clean).await,
        91..=93 => world.restart(Ending::Killed).await,
        94..=95 => world.cut_power_soon(),
        96 => world.restart(Ending::DiskLost).await,
        97 => world.other_disks_are_refused(true).await,
        98 => world.other_disks_are_refused(false).await,
        _ => world.grow_a_topic().await,
    }
    if world.power_is_off() {
        world.restart(Ending::PowerCut).await;
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn whatever_happens_every_reader_sees_what_was_acknowledged_and_nothing_else() {
    let (first, cases) = (number("MODEL_SEED", 0), number("MODEL_CASES", 40));
    let mut happened = Happened::default();
    if std::env::var("MODEL_TRACE").is_ok() {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).init();
    }
    for seed in first..first + cases {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let run = std::panic::AssertUnwindSafe(|| runtime.block_on(case(seed, &mut happened)));
        if let Err(why) = std::panic::catch_unwind(run) {
            eprintln!("MODEL_SEED={seed} MODEL_CASES=1 shows it again");
            std::panic::resume_unwind(why);
        }
    }
    eprintln!("{cases} cases: {happened:?}");
    let seldom: Vec<&str> =
        OFTEN.into_iter().filter(|what| happened.get(what).copied().unwrap_or(0) * 20 < cases).collect();
    assert!(cases < 40 || seldom.is_empty(), "these hardly ever happen: {seldom:?}");
}
