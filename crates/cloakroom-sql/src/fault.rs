//! What went wrong, in the words of the store trait: not asked, not answered, refused.

use cloakroom_core::store::{Error, Source};

/// A statement that has no good answer.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) sort: Sort,
    stage: Stage,
    source: Source,
}

/// What an error of a driver means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sort {
    /// No connection was to be had: nothing was sent.
    Unreached,
    /// The database answered that it will not.
    Refused,
    /// The database answered that it could not now: it was locked, or took too long.
    Busy,
    /// Others were in the way, and everything was rolled back: it may be done again.
    Overtaken,
    /// There is a row with this key.
    Duplicate,
    /// SQLite has met a damaged page.
    #[cfg(feature = "sqlite")]
    Corrupt,
    /// The database answered something that proves nothing about a commit.
    #[cfg(feature = "sqlite")]
    Odd,
    /// There was no answer.
    Unknown,
}

/// How far the call had come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Nothing can have been kept: it was reading, or in a transaction that is rolled back.
    Asking,
    /// In a statement that is a transaction of its own.
    Writing,
    /// In a COMMIT.
    Committing,
}

/// The call's time was over.
#[derive(Debug, thiserror::Error)]
#[error("the database did not answer in time")]
pub(crate) struct Late;

impl Fault {
    pub(crate) fn new(sort: Sort, stage: Stage, source: impl Into<Source>) -> Self {
        Self { sort, stage, source: source.into() }
    }

    /// Nothing was sent.
    pub(crate) fn unreached(source: impl Into<Source>) -> Self {
        Self::new(Sort::Unreached, Stage::Asking, source)
    }

    /// The answer is not of the type that was asked for.
    pub(crate) fn odd(source: impl Into<Source>) -> Self {
        Self::new(Sort::Unknown, Stage::Asking, source)
    }

    /// What the driver said.
    pub(crate) fn into_source(self) -> Source {
        self.source
    }

    /// Whether everything was rolled back because of others.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.sort == Sort::Overtaken
    }
}

impl From<Fault> for Error {
    /// A damaged page is stumbled over while a statement reads its way, before anything is kept.
    /// A damaged index of SQLite's log, in shared memory, would be met only after that; it says
    /// the same, and is left out of account: what was written then is seen by nobody, unless a
    /// recovery of the log brings it back.
    fn from(fault: Fault) -> Self {
        let Fault { sort, stage, source } = fault;
        match (sort, stage) {
            (Sort::Refused | Sort::Duplicate, _) => Self::Refused(source),
            #[cfg(feature = "sqlite")]
            (Sort::Corrupt, Stage::Asking | Stage::Writing) | (Sort::Odd, Stage::Asking) => {
                Self::Refused(source)
            }
            (Sort::Unreached | Sort::Busy | Sort::Overtaken, _) | (_, Stage::Asking) => {
                Self::Unreachable(source)
            }
            _ => Self::Unanswered(source),
        }
    }
}

/// Why a call of the store failed: a statement did, or what was read is no record.
#[derive(Debug)]
pub(crate) enum Failure {
    Statement(Fault),
    Store(Error),
}

impl Failure {
    pub(crate) fn is_overtaken(&self) -> bool {
        matches!(self, Self::Statement(fault) if fault.is_overtaken())
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Statement(fault)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Statement(fault) => fault.into(),
            Failure::Store(error) => error,
        }
    }
}

/// What a step of a call answers.
pub(crate) type Step<T> = Result<T, Failure>;
