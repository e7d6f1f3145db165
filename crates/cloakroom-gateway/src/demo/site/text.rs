//! Which characters can be seen, of those that people write.

use std::ops::RangeInclusive;

/// Format characters (Unicode's category Cf), separators of lines, and letters that are blank. They
/// hide in a text, or turn the direction of what stands beside it. Control characters are apart.
const UNSEEN: [RangeInclusive<char>; 30] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0e}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
    // For private use, and no characters: nobody knows what is shown.
    '\u{e000}'..='\u{f8ff}',
    '\u{fdd0}'..='\u{fdef}',
    '\u{fffe}'..='\u{ffff}',
    '\u{f0000}'..='\u{10ffff}',
];

/// Whether all of a text can be seen, and something can.
pub(super) fn is_seen(text: &str) -> bool {
    let unseen = |seen: char| seen.is_control() || UNSEEN.iter().any(|some| some.contains(&seen));
    // The variation that makes a picture of a character is a part of many, and nothing by itself.
    let picture = |seen: char| seen == '\u{fe0f}';
    !text.chars().any(unseen) && text.chars().any(|seen| !seen.is_whitespace() && !picture(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_or_turns_is_told_from_what_is_written() {
        for hidden in [
            "",
            " ",
            "\n",
            "\u{7}",
            "a\u{200b}b",
            "\u{200b}",
            "\u{feff}tea",
            "\u{202e}gnp.live",
            "a\u{2066}b",
            "\u{3164}",
            "a\u{ad}b",
            "a\u{85}b",
            "\u{e0041}",
            "\u{fe0f}",
            "\u{200d}",
            "a\u{2028}b",
            "\u{10ffff}",
        ] {
            assert!(!is_seen(hidden), "{hidden:?}");
        }
        for seen in ["tea", "Tee für zwei", "茶", "شاي", "ชา", "e\u{301}", "❤\u{fe0f}", "<b>"]
        {
            assert!(is_seen(seen), "{seen:?}");
        }
    }
}
