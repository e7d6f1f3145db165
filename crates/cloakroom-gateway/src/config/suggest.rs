//! Finds the word that somebody has probably meant.

/// How many letters may be wrong.
const MOST_WRONG: usize = 2;

/// The one of `known` that is nearest to `word`, if it is near at all.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().replace('-', "_").chars().collect();
    let near = |other: &'a str| {
        let letters: Vec<char> = other.to_lowercase().replace('-', "_").chars().collect();
        let wrong = distance(&word, &letters);
        (wrong <= MOST_WRONG && wrong < letters.len()).then_some((wrong, other))
    };
    let nearest = known.into_iter().filter_map(near).min();
    nearest.map(|(_, other)| other)
}

/// How many letters have to be added, taken away or replaced to make one word of the other
/// (Levenshtein).
fn distance(first: &[char], second: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=second.len()).collect();
    for (line, letter) in first.iter().enumerate() {
        let mut corner = line;
        let mut left = line + 1;
        for (other, cell) in second.iter().zip(row.iter_mut().skip(1)) {
            let replaced = corner + usize::from(letter != other);
            corner = *cell;
            left = replaced.min(left + 1).min(corner + 1);
            *cell = left;
        }
        if let Some(begin) = row.first_mut() {
            *begin = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = ["balance", "servers", "name", "keep_host", "on"];
        for (word, expected) in [
            ("balanse", Some("balance")),
            ("server", Some("servers")),
            ("Keep-Host", Some("keep_host")),
            ("nmae", Some("name")),
            ("weight", None),
            ("ab", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn distances_are_counted_in_letters() {
        let distance = |first: &str, second: &str| {
            distance(&first.chars().collect::<Vec<_>>(), &second.chars().collect::<Vec<_>>())
        };
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!((distance("", "abc"), distance("abc", ""), distance("", "")), (3, 3, 0));
    }
}
