//! Why a command did not do its work: what a person reads, and what the shell is told.

use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;

use crate::terminal;

/// Why a command stopped: a sentence, and a hint where there is something to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fault {
    kind: Kind,
    message: String,
    hint: Option<String>,
    /// The hint for whoever has no file, and said everything on the command line.
    hint_without_file: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// The command line cannot be meant.
    Usage,
    /// Something on this machine stands in the way.
    Surroundings,
}

impl Fault {
    /// Says that something on this machine stands in the way.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Surroundings,
            message: message.into(),
            hint: None,
            hint_without_file: None,
        }
    }

    /// Says that the command line cannot be meant.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::new(message) }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do about it where no file names what is at fault, but the command line.
    pub(crate) fn hint_without_file(mut self, hint: impl Into<String>) -> Self {
        self.hint_without_file = Some(hint.into());
        self
    }

    /// The same for somebody who has no file.
    pub(crate) fn without_file(mut self) -> Self {
        self.hint = self.hint_without_file.take().or(self.hint);
        self
    }

    /// Writes it to the standard error, and gives the exit code that stands for it.
    pub(crate) fn report(self) -> ExitCode {
        terminal::complain(&format!("error: {}", self.message));
        if let Some(hint) = &self.hint {
            terminal::complain(&format!("  hint: {hint}"));
        }
        match self.kind {
            Kind::Usage => ExitCode::from(2),
            Kind::Surroundings => ExitCode::from(1),
        }
    }
}

/// An error and what caused it, in one line. A cause that only repeats what stands before it is
/// left out.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        add(&mut said, error);
        cause = error.source();
    }
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn add(said: &mut String, cause: impl Display) {
    let cause = cause.to_string();
    if !said.contains(&cause) {
        said.push_str(": ");
        said.push_str(&cause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Outer {
        said: &'static str,
        source: std::io::Error,
    }

    #[test]
    fn a_cause_is_said_once() {
        let cause = || std::io::Error::other("the disk is full");
        let outer = Outer { said: "the file cannot be made", source: cause() };
        assert_eq!(chain(&outer), "the file cannot be made: the disk is full");
        let repeats = Outer { said: "no file, as the disk is full", source: cause() };
        assert_eq!(chain(&repeats), "no file, as the disk is full");
    }
}
