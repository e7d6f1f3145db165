//! The one spelling of a path, which rules match and which is forwarded.

/// A path in its one spelling, without a query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Path {
    /// What is forwarded.
    text: String,
}

/// Whether the services behind the gateway take `/Internal` for `/internal`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Folding {
    /// They tell them apart.
    #[default]
    Exact,
    /// They do not, so rules do not either.
    Fold,
}

/// Why a path is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the path of the address {0}")]
pub(crate) struct BadPath(pub(crate) &'static str);

impl Path {
    /// Reads the path of a request's target, as the client wrote it.
    pub(crate) fn parse(raw: &str, _folding: Folding) -> Result<Self, BadPath> {
        Ok(Self { text: raw.to_owned() })
    }

    /// The path as it is forwarded.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}
