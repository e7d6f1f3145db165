//! Points in time, for people and for programs.

use std::time::{Duration, SystemTime};

use cloakroom::Timestamp;

/// How long ago something was, roughly.
pub(crate) fn ago(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..=9 => "just now".to_owned(),
        10..=59 => format!("{seconds} seconds ago"),
        60..=119 => "a minute ago".to_owned(),
        120..=3599 => format!("{} minutes ago", seconds / 60),
        3600..=7199 => "an hour ago".to_owned(),
        7200..=86_399 => format!("{} hours ago", seconds / 3600),
        86_400..=172_799 => "a day ago".to_owned(),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// The point in time as RFC 3339 writes it, in UTC.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    // The year 9999 is the last that has a form.
    const LAST: u64 = 253_402_300_799_999;
    let since_epoch = Duration::from_millis(at.millis().min(LAST));
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since_epoch).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_while_is_told_in_its_own_unit() {
        let now = Timestamp::from_millis(1_000_000_000);
        for (seconds, told) in [
            (0, "just now"),
            (59, "59 seconds ago"),
            (60, "a minute ago"),
            (3599, "59 minutes ago"),
            (7199, "an hour ago"),
            (86_399, "23 hours ago"),
            (200_000, "2 days ago"),
        ] {
            let then = Timestamp::from_millis(now.millis() - seconds * 1000);
            assert_eq!(ago(now, then), told);
        }
        assert_eq!(ago(now, now + Duration::from_secs(60)), "just now");
    }

    #[test]
    fn every_instant_has_a_written_form() {
        assert_eq!(rfc3339(Timestamp::EPOCH), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Timestamp::MAX), "9999-12-31T23:59:59.999Z");
    }
}
