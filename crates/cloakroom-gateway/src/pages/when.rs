//! Points in time, for people and for programs.

use std::time::{Duration, SystemTime};

use cloakroom::Timestamp;

use super::Language;

/// How long ago something was, roughly.
pub(crate) fn ago(language: Language, now: Timestamp, then: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    let (count, one, several, chinese) = match seconds {
        0..=9 => return language.say("just now", "刚刚").to_owned(),
        10..=59 => (seconds, "a second ago", "seconds ago", "秒前"),
        60..=3599 => (seconds / 60, "a minute ago", "minutes ago", "分钟前"),
        3600..=86_399 => (seconds / 3600, "an hour ago", "hours ago", "小时前"),
        _ => (seconds / 86_400, "a day ago", "days ago", "天前"),
    };
    match (language, count) {
        (Language::Chinese, _) => format!("{count} {chinese}"),
        (Language::English, 1) => one.to_owned(),
        (Language::English, _) => format!("{count} {several}"),
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
            assert_eq!(ago(Language::English, now, then), told);
        }
        assert_eq!(ago(Language::English, now, now + Duration::from_secs(60)), "just now");
        let then = Timestamp::from_millis(now.millis() - 7_200_000);
        assert_eq!(ago(Language::Chinese, now, then), "2 小时前");
    }

    #[test]
    fn every_instant_has_a_written_form() {
        assert_eq!(rfc3339(Timestamp::EPOCH), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Timestamp::MAX), "9999-12-31T23:59:59.999Z");
    }
}
