//! The order in which the reference's hash tables list their keys.
//!
//! In a few places it takes the first of equals from such a table, so its answers depend on it. The
//! tables are GLib's: open addressing with triangular probing, a power of two of places, the home
//! place taken modulo a prime.

const PRIMES: [u32; 16] = [1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16381, 32749];
const MIN_SHIFT: usize = 3;

fn hash(key: &str) -> u32 {
    let h = key.bytes().fold(0u32, |h, c| (h << 5).wrapping_sub(h).wrapping_add(c as i8 as u32));
    h.max(2)
}

/// Lists items that were inserted in this order as the table lists them.
pub(crate) fn order<'a, T: Copy>(items: &[T], key: impl Fn(T) -> &'a str) -> Vec<T> {
    let mut places: Vec<Option<T>> = vec![None; 1 << MIN_SHIFT];
    let mut shift = MIN_SHIFT;
    let mut count = 0usize;
    for item in items {
        insert(&mut places, shift, *item, hash(key(*item)));
        count += 1;
        if places.len() <= count + count / 16 && shift + 1 < PRIMES.len() {
            let wanted = (count as f64 * 1.333) as usize;
            while (1 << shift) <= wanted && shift + 1 < PRIMES.len() {
                shift += 1;
            }
            let old = std::mem::replace(&mut places, vec![None; 1 << shift]);
            for item in old.into_iter().flatten() {
                insert(&mut places, shift, item, hash(key(item)));
            }
        }
    }
    places.into_iter().flatten().collect()
}

fn insert<T>(places: &mut [Option<T>], shift: usize, item: T, hash: u32) {
    let prime = PRIMES.get(shift).copied().unwrap_or(1);
    let mask = places.len() - 1;
    let mut at = (hash.wrapping_mul(11) % prime) as usize;
    for step in 1..=places.len() {
        match places.get_mut(at) {
            Some(place) if place.is_none() => {
                *place = Some(item);
                return;
            }
            _ => at = (at + step) & mask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        let names: Vec<String> = (0..100).map(|n| format!("node{n}")).collect();
        let listed = order(&(0..100).collect::<Vec<usize>>(), |n| &names[n]);
        let mut sorted = listed.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<usize>>());
    }
}
