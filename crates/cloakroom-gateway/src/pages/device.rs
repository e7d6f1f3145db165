//! What kind of device a User-Agent header speaks of, for people to recognise their own.

use super::Language;

/// Tokens of the header and the browser that they tell. The first that is found counts, because
/// most browsers also name those that they descend from.
const BROWSERS: [(&str, &str); 9] = [
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
];
const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// Describes a device in a few words, such as `Chrome on Linux`.
pub(crate) fn describe(user_agent: &str, language: Language) -> String {
    let find = |table: &[(&str, &'static str)]| {
        table.iter().find(|(token, _)| user_agent.contains(token)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => match language {
            Language::English => format!("{browser} on {system}"),
            Language::Chinese => format!("{system} 上的 {browser}"),
        },
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => language.say("An unknown device", "未知设备").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_devices_are_told_apart() {
        for (user_agent, device) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 HeadlessChrome/156.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 \
                 Firefox/140.0",
                "Firefox on macOS",
            ),
            ("curl/8.5.0", "curl"),
            ("", "An unknown device"),
        ] {
            assert_eq!(describe(user_agent, Language::English), device);
        }
    }

    #[test]
    fn the_order_of_words_is_the_language_s_own() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(describe(firefox, Language::Chinese), "Linux 上的 Firefox");
        assert_eq!(describe("", Language::Chinese), "未知设备");
    }
}
