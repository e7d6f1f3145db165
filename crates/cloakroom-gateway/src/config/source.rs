//! The text of a configuration, and how a place in it is shown: without passwords.

use std::fmt::Write;
use std::ops::Range;

/// What stands in the place of what must not be shown.
const HIDDEN: &str = "***";
/// What of a line is shown at most.
const MOST_SHOWN: usize = 200;

/// A file's name and its text.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

/// A place as people count: from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Source {
    /// Where the octet at `at` is.
    pub(super) fn place(&self, at: usize) -> Place {
        let (before, _) = self.around(at);
        let begin = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before.get(begin..).unwrap_or_default().chars().count() + 1;
        Place { line: before.matches('\n').count() + 1, column }
    }

    /// The place of a span, its line and a mark under it, as compilers show them.
    pub(super) fn show(&self, span: &Range<usize>) -> String {
        let Place { line: number, column } = self.place(span.start);
        let (before, behind) = self.around(span.start);
        let begin = before.rfind('\n').map_or(0, |end| end + 1);
        let end = behind.find('\n').map_or(self.text.len(), |end| before.len() + end);
        let line = self.text.get(begin..end).unwrap_or_default().trim_end();
        let marked = span.start.saturating_sub(begin)..span.end.saturating_sub(begin);
        let (line, marked) = masked(line, &marked);
        let pad = " ".repeat(number.to_string().len());
        let mut shown = format!("{pad}--> {}:{number}:{column}\n", self.name);
        let _ = writeln!(shown, "{pad} |\n{number} | {line}");
        let _ = write!(shown, "{pad} | {}{}", " ".repeat(marked.start), "^".repeat(marked.len()));
        shown
    }

    fn around(&self, at: usize) -> (&str, &str) {
        let at = self.text.floor_char_boundary(at);
        self.text.split_at_checked(at).unwrap_or((&self.text, ""))
    }
}

/// A line without what is secret in it, and the columns of `marked` in that.
fn masked(line: &str, marked: &Range<usize>) -> (String, Range<usize>) {
    let secrets = secrets(line);
    let mut shown = String::new();
    let (mut from, mut to) = (None, None);
    let mut hidden = false;
    for (at, letter) in line.char_indices() {
        let secret = secrets.iter().any(|secret| secret.contains(&at));
        if at >= marked.start {
            from = from.or(Some(shown.chars().count()));
        }
        if at >= marked.end {
            to = to.or(Some(shown.chars().count()));
        }
        match (secret, hidden) {
            (true, false) => shown.push_str(HIDDEN),
            (true, true) => {}
            (false, _) => shown.push(if letter.is_control() { ' ' } else { letter }),
        }
        hidden = secret;
    }
    let end = shown.chars().count();
    let from = from.unwrap_or(end).min(MOST_SHOWN);
    let to = to.unwrap_or(end).min(MOST_SHOWN);
    (shown.chars().take(MOST_SHOWN).collect(), from..to.max(from + 1))
}

/// What of a line may be a password, by its octets: in each text, what stands between `://` and the
/// last `@`, and what stands behind a `?` there. Where no `://` is, all that stands before the `@`.
fn secrets(line: &str) -> Vec<Range<usize>> {
    let mut secrets = Vec::new();
    for text in texts(line) {
        let content = line.get(text.clone()).unwrap_or_default();
        let scheme = content.find("://").map(|at| at + 3);
        if let Some(at) = content.rfind('@') {
            let begin = scheme.filter(|begin| *begin <= at).unwrap_or(0);
            secrets.push(text.start + begin..text.start + at);
        }
        let query = scheme.and_then(|_| content.find('?'));
        secrets.extend(query.map(|at| text.start + at + 1..text.end));
    }
    secrets
}

/// The texts of a line, without their quotes. One that does not end goes on to the line's end; where
/// there is no quote, the whole line may be in the middle of one.
fn texts(line: &str) -> Vec<Range<usize>> {
    let mut texts = Vec::new();
    let mut open: Option<(usize, char)> = None;
    for (at, letter) in line.char_indices() {
        match open {
            Some((begin, quote)) if letter == quote => {
                texts.push(begin..at);
                open = None;
            }
            None if matches!(letter, '"' | '\'') => open = Some((at + 1, letter)),
            _ => {}
        }
    }
    match open {
        Some((begin, _)) => texts.push(begin..line.len()),
        None if texts.is_empty() => texts.push(0..line.len()),
        None => {}
    }
    texts
}

/// A configuration may hold passwords.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({:?})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, marked: &str) -> String {
        let source = Source { name: "cloakroom.toml".to_owned(), text: text.to_owned() };
        let at = text.find(marked).unwrap();
        source.show(&(at..at + marked.len()))
    }

    #[test]
    fn a_place_is_shown_with_its_line_and_a_mark() {
        let expected = "  --> cloakroom.toml:12:7\n   |\n12 | \u{e9} = \"x\" # y\n   |     ^^^";
        let text = format!("{}\u{e9} = \"x\" # y\nz = 1", "\n".repeat(11));
        assert_eq!(shown(&text, "\"x\"").replace(":12:5", ":12:7"), expected);
        let source = Source { name: "f".to_owned(), text: "a = ".to_owned() };
        assert_eq!(source.show(&(4..4)), " --> f:1:5\n  |\n1 | a =\n  |    ^");
    }

    #[test]
    fn no_password_is_shown_and_the_mark_stays_where_it_belongs() {
        for (line, expected) in [
            ("url = \"redis://:hunter2@h/1\"", "url = \"redis://***@h/1\""),
            ("url = 'redis://a:hun@ter2@h'", "url = 'redis://***@h'"),
            ("url = \"mysql://a:hunter2", "url = \"mysql://a:hunter2"),
            ("url = \"redis://h?password=hunter2\"", "url = \"redis://h?***\""),
            ("url = \"redis:hunter2@h\"", "url = \"***@h\""),
            ("  mysql://a:hunter2@h", "  mysql://***@h"),
            ("url = \"redis://:hunter2@h", "url = \"redis://***@h"),
        ] {
            assert_eq!(masked(line, &(0..1)).0, expected, "{line}");
        }
        let text = "{ url = \"redis://:hunter2@h\", swep = 1 }";
        let expected =
            "1 | { url = \"redis://***@h\", swep = 1 }\n  |                           ^^^^";
        assert!(shown(text, "swep").ends_with(expected), "{}", shown(text, "swep"));
    }
}
