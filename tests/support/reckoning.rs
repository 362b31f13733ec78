//! How many requests ask the database who somebody is: reckoned, and simulated one by one. See docs/scale.md.

/// `ROLE_CACHE_TTL`, in seconds.
pub const KEPT: f64 = 300.0;

/// For each person and instance r / (1 + r T), r their requests a second there and T the time that an answer is kept.
pub fn reckoned(requests: u32, people: u32, instances: u32) -> f64 {
    let pairs = f64::from(people) * f64::from(instances);
    let rate = f64::from(requests) / pairs;
    pairs * rate / (1.0 + rate * KEPT)
}

/// Requests of many people at random over instances without stickiness.
pub fn simulated(requests: u32, people: u32, instances: u32) -> f64 {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |most: u32| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % u64::from(most)
    };
    let pairs = people * instances;
    // As on any afternoon: everybody was read at another moment. Together they would come back together.
    let round = KEPT + f64::from(pairs) / f64::from(requests);
    let mut read_at: Vec<f64> = (0..pairs)
        .map(|_| -round * next(1_000_000) as f64 / 1e6)
        .collect();
    let (warm, end) = (2.0 * KEPT, 8.0 * KEPT);
    let (mut misses, step, mut now) = (0_u64, 1.0 / f64::from(requests), 0.0);
    while now < end {
        let pair = next(pairs) as usize;
        if now - read_at[pair] > KEPT {
            read_at[pair] = now;
            misses += u64::from(now >= warm);
        }
        now += step;
    }
    misses as f64 / (end - warm)
}
