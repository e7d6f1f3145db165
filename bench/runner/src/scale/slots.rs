//! How the 256 buckets fall on the masters of a Redis Cluster.

/// Slots of a cluster.
const SLOTS: usize = 16_384;
/// Buckets of a store.
pub(crate) const BUCKETS: usize = 256;

/// How many buckets the fullest master has, where so many masters have equal ranges of slots, as
/// `redis-cli --cluster create` deals them out.
pub(crate) fn fullest(masters: usize) -> usize {
    let mut counts = vec![0_usize; masters.max(1)];
    for bucket in 0..BUCKETS {
        let slot = usize::from(crc16(format!("{bucket:02x}").as_bytes())) % SLOTS;
        counts[slot * masters.max(1) / SLOTS] += 1;
    }
    counts.into_iter().max().unwrap_or(BUCKETS)
}

/// The checksum that names a key's slot: CRC16 of XMODEM, as the Redis Cluster specification has
/// it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_specifications() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    #[test]
    fn no_master_has_fewer_than_its_share() {
        assert_eq!(fullest(1), BUCKETS);
        for masters in 1..=64 {
            let most = fullest(masters);
            assert!(most >= BUCKETS.div_ceil(masters) && most <= BUCKETS, "{masters}: {most}");
        }
    }
}
