//! Puts what was measured between the marks of a document, and leaves the rest of it alone.

use std::fmt::Write as _;

const BEGIN: &str = "<!-- scale:begin";
const END: &str = "<!-- scale:end -->";
const CLOSE: &str = "-->";

/// What a mark without a name stands for: everything.
const ALL: &str = "";

/// A piece of the report: its name and its text.
pub(crate) type Block = (&'static str, String);

/// Replaces what stands between `<!-- scale:begin NAME -->` and `<!-- scale:end -->` with the block
/// of that name; where there is no name, with all blocks. What stood there before is dropped.
///
/// # Errors
///
/// Where there is no mark, one has no end, or a name is unknown.
pub(crate) fn rewrite(document: &str, blocks: &[Block]) -> Result<String, String> {
    let (mut text, mut rest, mut found) = (String::new(), document, false);
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (name, behind) =
            behind.split_once(CLOSE).ok_or_else(|| format!("a `{BEGIN}` is not closed"))?;
        let (_, after) = behind
            .split_once(END)
            .filter(|(old, _)| !old.contains(BEGIN))
            .ok_or_else(|| format!("`{BEGIN}{name}{CLOSE}` has no `{END}`"))?;
        let new = of_name(name.trim(), blocks)
            .ok_or_else(|| format!("there is nothing to put into `{BEGIN}{name}{CLOSE}`"))?;
        let _ = write!(text, "{before}{BEGIN}{name}{CLOSE}\n\n{}\n\n{END}", new.trim());
        (rest, found) = (after, true);
    }
    text.push_str(rest);
    if found { Ok(text) } else { Err(format!("there is no `{BEGIN} {CLOSE}`")) }
}

/// A document of nothing but all blocks.
pub(crate) fn fresh() -> String {
    format!("{BEGIN} {CLOSE}\n{END}\n")
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

    fn blocks() -> [Block; 2] {
        [("one", "1\n".to_owned()), ("two", "2\n".to_owned())]
    }

    #[test]
    fn what_is_between_the_marks_is_replaced_and_nothing_else() {
        let document = "a\n<!-- scale:begin two -->\nold\n<!-- scale:end -->\nb\n\
            <!-- scale:begin one --><!-- scale:end -->";
        let expected = "a\n<!-- scale:begin two -->\n\n2\n\n<!-- scale:end -->\nb\n\
            <!-- scale:begin one -->\n\n1\n\n<!-- scale:end -->";
        let written = rewrite(document, &blocks()).unwrap();
        assert_eq!(written, expected);
        assert_eq!(rewrite(&written, &blocks()).unwrap(), expected, "again, it changes nothing");
    }

    #[test]
    fn a_mark_without_a_name_takes_everything() {
        let expected = "<!-- scale:begin -->\n\n1\n\n2\n\n<!-- scale:end -->\n";
        assert_eq!(
            rewrite("<!-- scale:begin -->x<!-- scale:end -->\n", &blocks()).unwrap(),
            expected
        );
        assert!(rewrite(&fresh(), &blocks()).unwrap().contains("1\n\n2"));
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
            assert!(rewrite(document, &blocks()).is_err(), "{document}");
        }
    }
}
