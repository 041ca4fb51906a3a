//! The pauses between attempts.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(1);

/// Exponential backoff with jitter: each pause is up to 1.6 times as long as the one before, and
/// varies by half, so that the clients of a receiver do not return at once.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Backoff(FIRST)
    }

    /// Returns the next pause.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0.mul_f64(0.5 + random());
        self.0 = self.0.mul_f64(1.6).min(LONGEST);
        pause
    }
}

/// Returns a random number from 0 to 1. The keys of a hash map are the randomness of the standard
/// library.
fn random() -> f64 {
    let number = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(number >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_jitter_up_to_a_limit() {
        let pauses = || {
            let mut backoff = Backoff::new();
            [(); 20].map(|()| backoff.next())
        };
        let (one, other) = (pauses(), pauses());
        assert_ne!(one, other);
        for pauses in [one, other] {
            assert!((FIRST / 2..=FIRST * 3 / 2).contains(&pauses[0]), "{pauses:?}");
            assert!((LONGEST / 2..=LONGEST * 3 / 2).contains(&pauses[19]), "{pauses:?}");
        }
    }
}
