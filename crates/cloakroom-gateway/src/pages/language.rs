//! Which of our languages somebody reads, by `Accept-Language` (RFC 9110, section 12.5.4).

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// The most languages of a request that are looked at.
const MOST_RANGES: usize = 32;

/// A language that our pages are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Language {
    #[default]
    English,
    /// In simplified characters.
    Chinese,
}

impl Language {
    /// The one that a request's sender likes best, of two equals the first; English for those who
    /// read neither.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT_LANGUAGE).into_iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        let ranges = texts.flat_map(|text| text.split(',')).take(MOST_RANGES);
        let (mut best, mut most) = (Self::default(), 0.0);
        for (language, weight) in ranges.filter_map(read) {
            if weight > most {
                (best, most) = (language, weight);
            }
        }
        best
    }

    /// Its name for programs (RFC 5646).
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }

    /// Of a text in both languages the one in this.
    pub(crate) const fn say<T: Copy>(self, english: T, chinese: T) -> T {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }
}

/// A language of ours and how much it is liked. Every variety of a language is that language: there
/// is no better one to have.
fn read(range: &str) -> Option<(Language, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let primary = parts.next()?.split('-').next()?;
    let language = match primary {
        "*" => Language::English,
        _ if primary.eq_ignore_ascii_case("en") => Language::English,
        _ if primary.eq_ignore_ascii_case("zh") => Language::Chinese,
        _ => return None,
    };
    let given = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    // What is no weight counts as none.
    let weight = given.map_or(1.0, |given| given.parse().unwrap_or(0.0));
    Some((language, if (0.0..=1.0).contains(&weight) { weight } else { 0.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(accepted: &str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, accepted.parse().unwrap());
        Language::of(&headers)
    }

    #[test]
    fn the_language_that_is_liked_best_is_spoken() {
        for chinese in [
            "zh",
            "zh-CN,zh;q=0.9,en;q=0.8",
            "zh-TW",
            "zh-Hant-HK, en;q=0.9",
            "ZH-hans",
            "en;q=0.3, zh;q=0.31",
            "fr, zh;q=0.1",
            "en;q=0, zh;q=0.001",
            "en;q=x, zh;q=0.5",
            "en;q=7, zh;q=0.5",
        ] {
            assert_eq!(language(chinese), Language::Chinese, "{chinese}");
        }
        for english in [
            "en",
            "en-GB,en;q=0.9,zh;q=0.8",
            "",
            "*",
            "fr, de;q=0.9",
            "zh;q=0",
            "zh;q=0.5, en;q=0.5, *;q=0.6",
            "en, zh",
            "zhx",
            "zh;q=nan",
            "zh;q=-1",
        ] {
            assert_eq!(language(english), Language::English, "{english}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn a_long_list_is_not_read_to_its_end() {
        let long = format!("{}zh", "fr,".repeat(MOST_RANGES));
        assert_eq!(language(&long), Language::English);
    }
}
