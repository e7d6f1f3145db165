//! Puts what was measured between the marks of a document, and leaves the rest of it alone.

use std::fmt::Write as _;

const CLOSE: &str = "-->";

/// What a mark without a name stands for: everything.
const ALL: &str = "";

/// A piece of the report: its name and its text.
pub(crate) type Block = (&'static str, String);

/// The marks of one command: `<!-- COMMAND:begin NAME -->` and `<!-- COMMAND:end -->`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    command: &'static str,
}

impl Marks {
    /// The marks of `command`.
    pub(crate) const fn new(command: &'static str) -> Self {
        Self { command }
    }

    /// Replaces what stands between the marks with the block of the name in the first; where there
    /// is no name, with all blocks. What stood there before is dropped.
    ///
    /// # Errors
    ///
    /// Where there is no mark, one has no end, or a name is unknown.
    pub(crate) fn rewrite(self, document: &str, blocks: &[Block]) -> Result<String, String> {
        let (begin, end) = (self.begin(), self.end());
        let (mut text, mut rest, mut found) = (String::new(), document, false);
        while let Some((before, behind)) = rest.split_once(&begin) {
            let (name, behind) =
                behind.split_once(CLOSE).ok_or_else(|| format!("a `{begin}` is not closed"))?;
            let (_, after) = behind
                .split_once(&end)
                .filter(|(old, _)| !old.contains(&begin))
                .ok_or_else(|| format!("`{begin}{name}{CLOSE}` has no `{end}`"))?;
            let new = of_name(name.trim(), blocks)
                .ok_or_else(|| format!("there is nothing to put into `{begin}{name}{CLOSE}`"))?;
            let _ = write!(text, "{before}{begin}{name}{CLOSE}\n\n{}\n\n{end}", new.trim());
            (rest, found) = (after, true);
        }
        text.push_str(rest);
        if found { Ok(text) } else { Err(format!("there is no `{begin} {CLOSE}`")) }
    }

    /// A document of nothing but all blocks.
    pub(crate) fn fresh(self) -> String {
        format!("{} {CLOSE}\n{}\n", self.begin(), self.end())
    }

    fn begin(self) -> String {
        format!("<!-- {}:begin", self.command)
    }

    fn end(self) -> String {
        format!("<!-- {}:end -->", self.command)
    }
}

fn of_name(name: &str, blocks: &[Block]) -> Option<String> {
    if name == ALL {
        return Some(whole(blocks));
    }
    blocks.iter().find(|(other, _)| *other == name).map(|(_, text)| text.clone())
}

/// All blocks, one after the other.
pub(crate) fn whole(blocks: &[Block]) -> String {
    blocks.iter().map(|(_, text)| text.trim()).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks::new("scale");

    fn blocks() -> [Block; 2] {
        [("one", "1\n".to_owned()), ("two", "2\n".to_owned())]
    }

    #[test]
    fn what_is_between_the_marks_is_replaced_and_nothing_else() {
        let document = "a\n<!-- scale:begin two -->\nold\n<!-- scale:end -->\nb\n\
            <!-- scale:begin one --><!-- scale:end -->";
        let expected = "a\n<!-- scale:begin two -->\n\n2\n\n<!-- scale:end -->\nb\n\
            <!-- scale:begin one -->\n\n1\n\n<!-- scale:end -->";
        let written = MARKS.rewrite(document, &blocks()).unwrap();
        assert_eq!(written, expected);
        assert_eq!(
            MARKS.rewrite(&written, &blocks()).unwrap(),
            expected,
            "again, it changes nothing"
        );
    }

    #[test]
    fn a_mark_without_a_name_takes_everything() {
        let expected = "<!-- scale:begin -->\n\n1\n\n2\n\n<!-- scale:end -->\n";
        assert_eq!(
            MARKS.rewrite("<!-- scale:begin -->x<!-- scale:end -->\n", &blocks()).unwrap(),
            expected
        );
        assert!(MARKS.rewrite(&MARKS.fresh(), &blocks()).unwrap().contains("1\n\n2"));
    }

    #[test]
    fn marks_that_cannot_be_meant_are_refused() {
        for document in [
            "no marks",
            "<!-- scale:begin one -->",
            "<!-- scale:begin one",
            "<!-- scale:begin three --><!-- scale:end -->",
            "<!-- scale:begin one --><!-- scale:begin two --><!-- scale:end -->",
        ] {
            assert!(MARKS.rewrite(document, &blocks()).is_err(), "{document}");
        }
    }
}
