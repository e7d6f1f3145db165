//! Rules: the first that matches decides.

use std::net::IpAddr;
use std::sync::Arc;

use cloakroom::Network;
use http::Method;

use super::Path;
use crate::visitor::Visitor;

/// What rules are asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// The host's name in lower case, without a port.
    pub(crate) host: &'a str,
    pub(crate) path: &'a Path,
    /// The client's address, as far as it is known.
    pub(crate) address: Option<IpAddr>,
}

/// Who may pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Nobody.
    Deny,
    /// Everybody.
    Public,
    /// Whoever is signed in.
    Login,
    /// Whoever is signed in and has one of these roles.
    AnyRole(Vec<String>),
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// The line of the file that it begins on; 0 where it is from no file.
    pub(crate) line: usize,
    pub(crate) access: Access,
    /// Where clients have to be, if anywhere: others are refused.
    pub(crate) allow_from: Vec<Network>,
    /// The upstream that requests go to; its name.
    pub(crate) upstream: Option<Arc<str>>,
    /// Whether a visitor who is not signed in gets an id.
    pub(crate) anonymous_id: bool,
}

/// The rules in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Arc<Rule>>,
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It may pass.
    Permit(Permit),
    /// Its sender has to sign in first.
    SignIn,
    /// Its sender is signed in, and lacks the role.
    RoleMissing,
    /// Its sender is at an address that may not.
    WrongAddress,
    /// Nobody may.
    Denied,
}

/// The proof that rules let a request pass. Only they make one.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    rule: Arc<Rule>,
    path: Path,
}

impl Permit {
    /// The rule that decided.
    pub(crate) fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The path that was permitted.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Rules {
    /// The first rule that matches.
    pub(crate) fn first(&self, _asked: &Asked<'_>) -> Option<&Arc<Rule>> {
        self.rules.first()
    }
}

impl Rule {
    /// Whether who asks makes a difference: where not, nobody's session is opened for the verdict.
    pub(crate) fn asks_who(&self) -> bool {
        matches!(self.access, Access::Login | Access::AnyRole(_))
    }

    /// What becomes of a request that this rule is the first to match.
    pub(crate) fn judge(self: &Arc<Self>, asked: &Asked<'_>, _visitor: &Visitor) -> Verdict {
        Verdict::Permit(Permit { rule: Arc::clone(self), path: asked.path.clone() })
    }
}
