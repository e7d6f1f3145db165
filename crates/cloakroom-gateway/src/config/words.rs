//! Single values: durations, sizes, networks, names; what they may say and what they mean.

use std::time::Duration;

use cloakroom::Network;
use http::HeaderName;
use toml::de::DeValue;

use super::suggest::nearest;
use super::trouble::Bad;
use crate::access::HostPattern;

/// The longest duration that is taken for one that is meant.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// What numbers of bytes are written in.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// A text that is not empty.
pub(super) fn text<'a>(value: &'a DeValue<'a>) -> Result<&'a str, Bad> {
    match value.as_str().map(str::trim) {
        Some("") => Err(Bad::new("nothing is written here")),
        Some(text) if text.chars().any(char::is_control) => {
            Err(Bad::new("there is a control character in this text"))
        }
        Some(text) => Ok(text),
        None => Err(wrong(value, "a text in quotes")),
    }
}

/// A text of one's own.
pub(super) fn string(value: &DeValue<'_>) -> Result<String, Bad> {
    text(value).map(str::to_owned)
}

/// Yes or no.
pub(super) fn switch(value: &DeValue<'_>) -> Result<bool, Bad> {
    value.as_bool().ok_or_else(|| wrong(value, "`true` or `false`"))
}

/// A number from `least` to `most`.
pub(super) fn number<T: TryFrom<u64>>(
    least: u64,
    most: u64,
) -> impl FnMut(&DeValue<'_>) -> Result<T, Bad> {
    move |value| {
        let number = whole(value).filter(|number| (least..=most).contains(number));
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| wrong(value, &format!("a whole number from {least} to {most}")))
    }
}

/// A duration that is longer than nothing.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, Bad> {
    match or_none(value)? {
        Duration::ZERO => Err(Bad::new("this has to be longer than nothing")
            .help("write a duration such as \"30s\", \"15m\" or \"12h\"")),
        duration => Ok(duration),
    }
}

/// A duration, which may be none at all.
pub(super) fn or_none(value: &DeValue<'_>) -> Result<Duration, Bad> {
    let expected = || wrong(value, "a duration such as \"30s\", \"15m\" or \"12h\"");
    let duration = value.as_str().and_then(|text| humantime::parse_duration(text.trim()).ok());
    match duration.ok_or_else(expected)? {
        duration if duration > LONGEST => Err(Bad::new("this is longer than ten years")),
        duration => Ok(duration),
    }
}

/// A duration, or `word` for no limit.
pub(super) fn duration_or(
    word: &'static str,
) -> impl FnMut(&DeValue<'_>) -> Result<Option<Duration>, Bad> {
    move |value| match value.as_str() {
        Some(text) if text == word => Ok(None),
        _ => duration(value).map(Some).map_err(|Bad { what, help }| match help {
            Some(help) => Bad::new(what).help(format!("{help}, or \"{word}\"")),
            None => Bad::new(what).help(format!("\"{word}\" means no limit")),
        }),
    }
}

/// A number of bytes: `"64 KiB"`, or the number alone. At least one.
pub(super) fn size(value: &DeValue<'_>) -> Result<u64, Bad> {
    let bytes = match value.as_str() {
        Some(text) => bytes(text),
        None => whole(value),
    };
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| wrong(value, "a size such as \"64 KiB\""))
}

/// A size that fits into memory's numbers.
pub(super) fn small_size(value: &DeValue<'_>) -> Result<usize, Bad> {
    usize::try_from(size(value)?).map_err(|_| Bad::new("this is too large"))
}

/// A network.
pub(super) fn network(value: &DeValue<'_>) -> Result<Network, Bad> {
    text(value)?.parse().map_err(|_| {
        Bad::new("this is no network").help("write an address, or one such as \"10.0.0.0/8\"")
    })
}

/// A host's name, with or without `*.` before it.
pub(super) fn host_pattern(value: &DeValue<'_>) -> Result<HostPattern, Bad> {
    HostPattern::parse(text(value)?).map_err(|error| {
        let help = "write \"shop.example\", or \"*.shop.example\" for all below it, without a port";
        Bad::new(format!("this is {error}")).help(help)
    })
}

/// A host's name, in lower case.
pub(super) fn host(value: &DeValue<'_>) -> Result<String, Bad> {
    let name = host_pattern(value)?.to_string();
    match name.starts_with('*') {
        true => Err(Bad::new("a star means nothing here").help("write out each host")),
        false => Ok(name),
    }
}

/// A header's name.
pub(super) fn header(value: &DeValue<'_>) -> Result<HeaderName, Bad> {
    HeaderName::try_from(text(value)?).map_err(|_| Bad::new("this cannot be a header's name"))
}

/// One of some words.
pub(super) fn one_of<T: Clone>(
    words: &[(&'static str, T)],
) -> impl FnMut(&DeValue<'_>) -> Result<T, Bad> {
    move |value| {
        let text = text(value)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(meaning.clone());
        }
        let known = words.iter().map(|(word, _)| *word);
        Err(Bad::new("this word is not known here").help(instead(text, known)))
    }
}

/// What to write instead of a word.
pub(super) fn instead<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => {
            let known: Vec<String> = known.map(|word| format!("\"{word}\"")).collect();
            format!("write one of {}", known.join(", "))
        }
    }
}

/// Says what was expected and what kind of value is there, and not the value, which may be secret.
pub(super) fn wrong(value: &DeValue<'_>, expected: &str) -> Bad {
    let found = match value {
        DeValue::String(_) => "another text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Bad::new(format!("expected {expected}, found {found}"))
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(text: &str, read: impl FnOnce(&DeValue<'_>) -> Result<T, Bad>) -> Result<T, Bad> {
        read(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn durations_and_sizes_say_what_they_mean() {
        for (text, seconds) in [("\"30s\"", 30), ("\"15m\"", 900), ("\"12h\"", 43_200)] {
            assert_eq!(read(text, duration), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["30", "\"30\"", "\"0s\"", "\"soon\"", "\"20years\"", "true"] {
            assert!(read(text, duration).is_err(), "{text}");
        }
        assert_eq!(read("\"never\"", duration_or("never")), Ok(None));
        assert!(read("\"nevr\"", duration_or("never")).is_err());
        for (text, bytes) in [("\"64 KiB\"", 65_536), ("\"10MB\"", 10_000_000), ("4096", 4096)] {
            assert_eq!(read(text, size), Ok(bytes), "{text}");
        }
        for text in ["0", "\"x\"", "\"1 TiB\"", "\"-1\"", "\"99999999999 GiB\"", "-4", "1.5"] {
            assert!(read(text, size).is_err(), "{text}");
        }
    }

    #[test]
    fn a_word_that_is_not_known_is_answered_with_one_that_is() {
        let words = [("round-robin", 1), ("sticky", 2)];
        assert_eq!(read("\"sticky\"", one_of(&words)), Ok(2));
        let near = read("\"stiky\"", one_of(&words)).unwrap_err();
        assert_eq!(near.help.as_deref(), Some("did you mean \"sticky\"?"));
        let far = read("\"random\"", one_of(&words)).unwrap_err();
        assert_eq!(far.help.as_deref(), Some("write one of \"round-robin\", \"sticky\""));
    }
}
