use super::*;

#[test]
fn shards_stay_while_they_are_about_right() {
    let most = 1 << 16;
    assert_eq!(shards(PAGE_BYTES * 3, most, 0), 4);
    assert_eq!(shards(PAGE_BYTES * 6, most, 4), 4);
    assert_eq!(shards(PAGE_BYTES * 9, most, 4), 16);
    assert_eq!(shards(PAGE_BYTES * 2, most, 16), 2);
}

#[test]
fn pages_grow_with_the_state_so_that_a_version_costs_few_requests() {
    for mib in [1, 6, 11, 100, 400] {
        let all = mib << 20;
        let (items, partitions) = (shards(all, PAGES, 0), shards(all, PAGES / 2, 0));
        let most = PAGES.max(all.div_ceil(PAGE_BYTES_MAX).next_power_of_two());
        assert!(items <= most && partitions <= most, "{mib} MiB: {items} and {partitions} pages");
        assert!(partitions <= PAGES / 2 || all > PAGES / 2 * PAGE_BYTES_MAX, "{mib} MiB: {partitions} pages");
        assert!(all / items <= 2 * PAGE_BYTES_MAX, "{mib} MiB in {items}");
    }
    assert!(shards(4 << 30, PAGES, 0) > PAGES, "no page is larger than a reader takes");
}

#[test]
fn both_stay_in_the_version_while_they_are_small_and_the_larger_goes_first() {
    let (all, half) = (INLINE_BYTES, INLINE_BYTES / 2);
    let cases = [
        ((2, 2), (true, true)),
        ((2, all - 2), (true, true)),
        ((2, all - 1), (true, false)),
        ((all, 1), (false, true)),
        ((half, half + 1), (true, false)),
        ((half + 1, half + 1), (false, false)),
        ((half + 1, half), (false, true)),
    ];
    for ((partitions, items), expected) in cases {
        assert_eq!(are_inline(partitions, items), expected, "{partitions} and {items}");
    }
}
