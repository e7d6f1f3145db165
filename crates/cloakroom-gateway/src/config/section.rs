//! One table of a configuration, read key by key: what is not asked for is not known.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::suggest::nearest;
use super::trouble::{Bad, Notes};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) span: Range<usize>,
    pub(super) value: T,
}

/// A table. Its keys are those that are asked for.
#[derive(Debug)]
pub(super) struct Section<'a> {
    name: String,
    pub(super) span: Range<usize>,
    table: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
    pub(super) notes: &'a Notes,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn of_file(document: &'a Spanned<DeTable<'a>>, notes: &'a Notes) -> Self {
        let name = "this file".to_owned();
        Self { name, span: 0..0, table: document.get_ref(), asked: RefCell::default(), notes }
    }

    /// What `read` makes of a key's value, and where it stands. `None` where the key is missing or,
    /// which is noted, its value is bad.
    pub(super) fn at<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'a DeValue<'a>) -> Result<T, Bad>,
    ) -> Option<At<T>> {
        self.read(self.raw(key)?, read)
    }

    /// The same without its place.
    pub(super) fn get<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&'a DeValue<'a>) -> Result<T, Bad>,
    ) -> Option<T> {
        self.at(key, read).map(|at| at.value)
    }

    /// A value that has to be there.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&'a DeValue<'a>) -> Result<T, Bad>,
    ) -> Option<At<T>> {
        if self.raw(key).is_none() {
            let bad = Bad::new(format!("`{key}` is missing in {}", self.name));
            self.notes.error(&self.span, bad.help(format!("write `{key} = {example}`")));
        }
        self.at(key, read)
    }

    /// A list of values; one alone needs no brackets.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        mut read: impl FnMut(&'a DeValue<'a>) -> Result<T, Bad>,
    ) -> Vec<At<T>> {
        let Some(value) = self.raw(key) else {
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Array(values) => {
                values.iter().filter_map(|value| self.read(value, &mut read)).collect()
            }
            _ => self.read(value, read).into_iter().collect(),
        }
    }

    /// A table in this one.
    pub(super) fn table(&self, key: &'static str) -> Option<Section<'a>> {
        let value = self.raw(key)?;
        let section = self.section(format!("[{}]", self.below(key)), value);
        if section.is_none() {
            let bad = Bad::new(format!("`{key}` has to be a table"));
            let header =
                format!("write `[{}]` on a line, and what belongs to it below", self.below(key));
            self.notes.error(&value.span(), bad.help(header));
        }
        section
    }

    /// Tables of which there can be many; `[one]` alone counts where `alone` says so.
    pub(super) fn tables(&self, key: &'static str, alone: bool) -> Vec<Section<'a>> {
        let Some(value) = self.raw(key) else {
            return Vec::new();
        };
        let name = || format!("[[{key}]]");
        let sections: Option<Vec<_>> = match value.get_ref() {
            DeValue::Array(values) => {
                values.iter().map(|value| self.section(name(), value)).collect()
            }
            DeValue::Table(_) if alone => self.section(name(), value).map(|section| vec![section]),
            _ => None,
        };
        sections.unwrap_or_else(|| {
            let bad = Bad::new(format!("there can be several of `{key}`"));
            self.notes
                .error(&value.span(), bad.help(format!("write `[[{key}]]`, in two brackets")));
            Vec::new()
        })
    }

    /// A value that is a table or something else: whichever `value` is.
    pub(super) fn inner(&self, value: &'a Spanned<DeValue<'a>>) -> Option<Section<'a>> {
        self.section(self.name.clone(), value)
    }

    /// The values of a key as they stand.
    pub(super) fn values(&self, key: &'static str) -> &'a [Spanned<DeValue<'a>>] {
        match self.raw(key).map(|value| (value, value.get_ref())) {
            Some((_, DeValue::Array(values))) => values,
            Some((value, _)) => std::slice::from_ref(value),
            None => &[],
        }
    }

    /// What `read` makes of a value.
    pub(super) fn read<T>(
        &self,
        value: &'a Spanned<DeValue<'a>>,
        read: impl FnOnce(&'a DeValue<'a>) -> Result<T, Bad>,
    ) -> Option<At<T>> {
        match read(value.get_ref()) {
            Ok(read) => Some(At { span: value.span(), value: read }),
            Err(bad) => {
                self.notes.error(&value.span(), bad);
                None
            }
        }
    }

    /// Notes whatever has a key that nobody has asked for.
    pub(super) fn close(self) {
        let asked = self.asked.into_inner();
        for key in self.table.keys().filter(|key| !asked.contains(&key.get_ref().as_ref())) {
            let written = key.get_ref();
            let bad = Bad::new(format!("`{}` is not known in {}", shortened(written), self.name));
            let help = match nearest(written, asked.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known are {}", asked.join(", ")),
            };
            self.notes.error(&key.span(), bad.help(help));
        }
    }

    fn raw(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.table.get(key)
    }

    fn section(&self, name: String, value: &'a Spanned<DeValue<'a>>) -> Option<Section<'a>> {
        let DeValue::Table(table) = value.get_ref() else {
            return None;
        };
        let (span, asked, notes) = (value.span(), RefCell::default(), self.notes);
        Some(Section { name, span, table, asked, notes })
    }

    fn below(&self, key: &str) -> String {
        match self.name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some(name) => format!("{}.{key}", name.trim_matches(['[', ']'])),
            None => key.to_owned(),
        }
    }
}

/// As much of a word as fits on a line.
fn shortened(word: &str) -> String {
    word.chars().take(60).filter(|letter| !letter.is_control()).collect()
}
