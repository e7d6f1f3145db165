//! What is wrong in a configuration: what, where, and what to do about it.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use super::source::Source;

/// How many errors of one file are shown.
const MOST_SHOWN: usize = 20;

/// One thing that is wrong, or that is worth a second look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Trouble {
    pub(super) span: Range<usize>,
    pub(super) what: String,
    pub(super) help: Option<String>,
}

/// Why a value cannot be meant, by whoever reads it and does not know where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bad {
    pub(super) what: String,
    pub(super) help: Option<String>,
}

/// What was found while a file was read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    errors: RefCell<Vec<Trouble>>,
    warnings: RefCell<Vec<Trouble>>,
}

/// A configuration that cannot be used: all that is wrong with it, as text for people.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct BadConfig {
    text: String,
    pub(crate) errors: usize,
}

impl Bad {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl Notes {
    /// Notes an error at `span`.
    pub(super) fn error(&self, span: &Range<usize>, bad: Bad) {
        self.errors.borrow_mut().push(Trouble::new(span, bad));
    }

    /// Notes something that is not forbidden.
    pub(super) fn warning(&self, span: &Range<usize>, bad: Bad) {
        self.warnings.borrow_mut().push(Trouble::new(span, bad));
    }

    /// Whether nothing is wrong.
    pub(super) fn fine(&self) -> bool {
        self.errors.borrow().is_empty()
    }

    /// Everything that is wrong, in the order of the file.
    pub(super) fn bad_config(self, source: &Source) -> BadConfig {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|trouble| trouble.span.start);
        errors.dedup();
        let shown = errors.iter().take(MOST_SHOWN).map(|trouble| trouble.show("error", source));
        let mut parts: Vec<String> = shown.collect();
        if let Some(more) = errors.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
            parts.push(format!("and {more} more"));
        }
        BadConfig { text: parts.join("\n\n"), errors: errors.len() }
    }

    /// What is worth a second look, in the order of the file.
    pub(super) fn warnings(self, source: &Source) -> Vec<String> {
        let mut warnings = self.warnings.into_inner();
        warnings.sort_by_key(|trouble| trouble.span.start);
        warnings.iter().map(|trouble| trouble.show("warning", source)).collect()
    }
}

impl Trouble {
    fn new(span: &Range<usize>, Bad { what, help }: Bad) -> Self {
        Self { span: span.clone(), what, help }
    }

    fn show(&self, kind: &str, source: &Source) -> String {
        let place = source.show(&self.span);
        let help = self.help.iter().map(|help| format!("\n  help: {help}"));
        format!("{kind}: {}\n{place}{}", self.what, help.collect::<String>())
    }
}

impl BadConfig {
    /// A file that could not be read at all, so that none of its errors is known.
    pub(super) fn of_file(text: String) -> Self {
        Self { text, errors: 0 }
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
