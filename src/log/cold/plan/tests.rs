use super::*;
use proptest::prelude::*;

/// Slices of ten offsets with a hole of one between, `blocks[i]` slices in block i.
fn slices(blocks: &[usize]) -> Vec<SliceInfo> {
    let mut out = Vec::new();
    for (block, count) in blocks.iter().enumerate() {
        for page in 0..*count {
            let first_offset = out.len() as i64 * 11;
            out.push(SliceInfo {
                block: block as u32,
                page: page as u32,
                first_offset,
                next_offset: first_offset + 10,
                records: 10,
                payload_bytes: 1000,
                min_timestamp: None,
                max_timestamp: None,
            });
        }
    }
    out
}

#[test]
fn an_offset_between_slices_belongs_to_the_next_one() {
    let slices = slices(&[3]);
    assert_eq!(slice_at(&slices, 0), 0);
    assert_eq!(slice_at(&slices, 9), 0);
    assert_eq!(slice_at(&slices, 10), 1);
    assert_eq!(slice_at(&slices, 32), 3);
}

#[test]
fn the_run_step_is_a_power_of_two_of_about_a_quarter_of_the_window() {
    assert_eq!(run_step(0, 1 << 20), 1);
    assert_eq!(run_step(2 << 20, 1 << 20), 1);
    assert_eq!(run_step(15 << 20, 1 << 20), 2);
    assert_eq!(run_step(1 << 40, 1 << 20), 8);
    assert_eq!(run_step(1 << 40, 0), 1 << 16, "no division by zero, and a bound");
}

#[test]
fn small_slices_are_fetched_by_the_megabyte_even_when_many_share_the_budget() {
    assert_eq!(run_step(2 << 20, 256 << 10), 4);
    assert_eq!(run_step(512 << 10, 256 << 10), 2, "but never more than the window");
}

#[test]
fn a_reader_that_waits_has_as_much_fetched_as_it_would_take_within_the_block() {
    let slices = slices(&[4, 2]);
    assert_eq!(demand_end(&slices, 0, 0), 1);
    assert_eq!(demand_end(&slices, 0, 1999), 1);
    assert_eq!(demand_end(&slices, 0, 2000), 2);
    assert_eq!(demand_end(&slices, 1, u64::MAX), 4);
    assert_eq!(demand_end(&slices, 5, u64::MAX), 6);
    let mut large = slices;
    large.iter_mut().for_each(|slice| slice.payload_bytes = 400 << 10);
    assert_eq!(demand_end(&large, 0, u64::MAX), 2, "a small run at most");
}

#[test]
fn a_fetch_counts_what_is_stored_and_one_slice_twice() {
    let slices = slices(&[4]);
    let work = work_bytes(&[0..100, 200..300], &slices);
    assert_eq!(work, 200 + 2 * encoded_bytes(&slices[0]));
}

proptest! {
    #[test]
    fn runs_of_a_grid_tile_every_block(blocks in prop::collection::vec(1usize..20, 1..5), step in 0u32..5) {
        let slices = slices(&blocks);
        let step = 1usize << step;
        let mut next = 0;
        while next < slices.len() {
            let run = run_of(&slices, next, step);
            prop_assert_eq!(run.start, next, "runs begin where the one before ended");
            prop_assert!(run.len() <= step && !run.is_empty());
            for index in run.clone() {
                prop_assert_eq!(run_of(&slices, index, step), run.clone(), "whoever asks, the run is the same");
                prop_assert_eq!(slices[index].block, slices[run.start].block);
                let wider = run_of(&slices, index, step * 2);
                prop_assert!(wider.start <= run.start && run.end <= wider.end, "grids nest");
            }
            next = run.end;
        }
    }

    #[test]
    fn parts_are_exactly_what_is_absent(absent in prop::collection::vec(any::<bool>(), 1..40)) {
        let parts = parts(0..absent.len(), |index| absent[index]);
        let named: Vec<usize> = parts.iter().cloned().flatten().collect();
        let wanted: Vec<usize> = (0..absent.len()).filter(|index| absent[*index]).collect();
        prop_assert_eq!(named, wanted);
        prop_assert!(parts.windows(2).all(|pair| pair[0].end < pair[1].start), "as long as possible");
    }
}
