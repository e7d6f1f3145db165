//! How long to wait before a server that cannot be reached is tried again.

use std::time::Duration;

use cloakroom_core::record::CommitId;

/// The wait after the first failure. It doubles with each that follows.
const LEAST: Duration = Duration::from_millis(20);
/// The longest wait.
const MOST: Duration = Duration::from_secs(1);

/// The wait after so many failures before: between half and all of what it is at most, so that
/// nodes that lost a server together do not come back together.
pub(crate) fn delay(failures: u32, random: u32) -> Duration {
    let most = LEAST.saturating_mul(1 << failures.min(16)).min(MOST);
    most / 2 + most.mul_f64(f64::from(random) / f64::from(u32::MAX)) / 2
}

/// A number by chance.
pub(crate) fn random() -> u32 {
    let id = CommitId::random();
    id.as_bytes().first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_second() {
        for (failures, most) in [(0, 20), (1, 40), (2, 80), (5, 640), (6, 1000), (40, 1000)] {
            let most = Duration::from_millis(most);
            assert_eq!(delay(failures, u32::MAX), most);
            assert_eq!(delay(failures, 0), most / 2);
        }
    }
}
