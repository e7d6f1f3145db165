//! Rules: what one matches, and its verdict on a request.

use std::net::IpAddr;
use std::sync::Arc;

use cloakroom::Network;
use http::Method;

use super::{HostPattern, Path, Pattern};
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
    pub(crate) path: Pattern,
    /// Hosts that it is for; empty: any.
    pub(crate) hosts: Vec<HostPattern>,
    /// Methods that it is for; empty: any. `GET` is for `HEAD` as well.
    pub(crate) methods: Vec<Method>,
    pub(crate) access: Access,
    /// Where clients have to be, if anywhere: others are refused.
    pub(crate) allow_from: Vec<Network>,
    /// The upstream that requests go to; its name.
    pub(crate) upstream: Option<Arc<str>>,
    /// Whether a visitor who is not signed in gets an id.
    pub(crate) anonymous_id: bool,
}

/// Why a rule is not for a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mismatch {
    Host,
    Method,
    Path,
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

impl Rule {
    /// A rule for every request, from no file.
    pub(crate) fn for_everything(access: Access) -> Self {
        Self {
            line: 0,
            path: Pattern::everything(),
            hosts: Vec::new(),
            methods: Vec::new(),
            access,
            allow_from: Vec::new(),
            upstream: None,
            anonymous_id: false,
        }
    }

    /// Whether nobody may pass, whoever asks.
    pub(crate) const fn denies(&self) -> bool {
        matches!(self.access, Access::Deny)
    }

    /// Whether who asks makes a difference: where not, nobody's session is opened for the verdict.
    pub(crate) fn asks_who(&self) -> bool {
        matches!(self.access, Access::Login | Access::AnyRole(_))
    }

    /// Why the rule is not for a request; `None`: it is.
    pub(crate) fn mismatch(&self, asked: &Asked<'_>) -> Option<Mismatch> {
        if !self.path.matches(asked.path) {
            return Some(Mismatch::Path);
        }
        if !self.is_for_method(asked.method) {
            return Some(Mismatch::Method);
        }
        let any_host = self.hosts.is_empty();
        let is_for_host = any_host || self.hosts.iter().any(|host| host.matches(asked.host));
        (!is_for_host).then_some(Mismatch::Host)
    }

    /// Whether no request is left to `other`, if that comes later.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let hosts = || match (self.hosts.is_empty(), other.hosts.is_empty()) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => {
                let covered = |theirs| self.hosts.iter().any(|ours| ours.covers(theirs));
                other.hosts.iter().all(covered)
            }
        };
        let methods = || match (self.methods.is_empty(), other.methods.is_empty()) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => other.methods.iter().all(|method| self.is_for_method(method)),
        };
        self.path.covers(&other.path) && hosts() && methods()
    }

    /// What becomes of a request that this rule is the first to match.
    pub(crate) fn judge(self: &Arc<Self>, asked: &Asked<'_>, visitor: &Visitor) -> Verdict {
        if self.access == Access::Deny {
            return Verdict::Denied;
        }
        if !self.admits_address(asked.address) {
            return Verdict::WrongAddress;
        }
        match (&self.access, &visitor.user) {
            (Access::Login | Access::AnyRole(_), None) => return Verdict::SignIn,
            (Access::AnyRole(roles), Some(user))
                if !user.roles.iter().any(|role| roles.contains(role)) =>
            {
                return Verdict::RoleMissing;
            }
            _ => {}
        }
        Verdict::Permit(Permit { rule: Arc::clone(self), path: asked.path.clone() })
    }

    fn is_for_method(&self, method: &Method) -> bool {
        // What HEAD tells is what GET does: who may not have the one may not have the other.
        let method = if method == Method::HEAD { [method, &Method::GET] } else { [method; 2] };
        self.methods.is_empty() || self.methods.iter().any(|ours| method.contains(&ours))
    }

    /// An address that is not known is in no network.
    fn admits_address(&self, address: Option<IpAddr>) -> bool {
        let inside = |network: &Network| address.is_some_and(|address| network.contains(address));
        self.allow_from.is_empty() || self.allow_from.iter().any(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Folding;
    use crate::visitor::User;

    fn visitor(roles: Option<&[&str]>) -> Visitor {
        let user = roles.map(|roles| User {
            id: "alice".to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            session: None,
            authenticated_at: None,
        });
        Visitor { user, anonymous: None }
    }

    fn judged(rule: Rule, address: Option<&str>, roles: Option<&[&str]>) -> &'static str {
        let path = Path::parse("/a//b", Folding::Exact).unwrap();
        let address = address.map(|address| address.parse().unwrap());
        let asked = Asked { method: &Method::GET, host: "shop.example", path: &path, address };
        match Arc::new(rule).judge(&asked, &visitor(roles)) {
            Verdict::Permit(permit) => {
                assert_eq!(permit.path().as_str(), "/a/b");
                "permit"
            }
            Verdict::SignIn => "sign in",
            Verdict::RoleMissing => "role",
            Verdict::WrongAddress => "address",
            Verdict::Denied => "denied",
        }
    }

    #[test]
    fn the_verdict_is_what_the_rule_asks_for() {
        let any_role = || Access::AnyRole(vec!["admin".to_owned(), "staff".to_owned()]);
        for (access, roles, expected) in [
            (Access::Deny, Some(&["admin"][..]), "denied"),
            (Access::Deny, None, "denied"),
            (Access::Public, None, "permit"),
            (Access::Public, Some(&[]), "permit"),
            (Access::Login, None, "sign in"),
            (Access::Login, Some(&[]), "permit"),
            (any_role(), None, "sign in"),
            (any_role(), Some(&[]), "role"),
            (any_role(), Some(&["Admin", "administrator"]), "role"),
            (any_role(), Some(&["x", "staff"]), "permit"),
        ] {
            let rule = Rule::for_everything(access.clone());
            assert_eq!(judged(rule, None, roles), expected, "{access:?} {roles:?}");
        }
    }

    #[test]
    fn an_address_is_asked_for_before_a_login_and_one_that_is_not_known_does_not_do() {
        let allow_from = vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        for (access, address, expected) in [
            (Access::Public, Some("10.1.2.3"), "permit"),
            (Access::Public, Some("::ffff:10.1.2.3"), "permit"),
            (Access::Public, Some("2001:db8::1"), "permit"),
            (Access::Public, Some("11.0.0.1"), "address"),
            (Access::Public, None, "address"),
            (Access::Login, Some("11.0.0.1"), "address"),
            (Access::Login, Some("10.0.0.1"), "sign in"),
            (Access::Deny, Some("11.0.0.1"), "denied"),
        ] {
            let allow_from = allow_from.clone();
            let rule = Rule { allow_from, ..Rule::for_everything(access.clone()) };
            assert_eq!(judged(rule, address, None), expected, "{access:?} {address:?}");
        }
    }

    #[test]
    fn a_rule_says_why_it_is_not_for_a_request() {
        let rule = Rule {
            path: Pattern::parse("/a/**", Folding::Exact).unwrap(),
            hosts: vec![HostPattern::parse("*.shop.example").unwrap()],
            methods: vec![Method::GET, Method::POST],
            ..Rule::for_everything(Access::Public)
        };
        for (method, host, path, expected) in [
            (Method::GET, "a.shop.example", "/a", None),
            (Method::HEAD, "a.shop.example", "/a/b", None),
            (Method::POST, "a.shop.example.", "/a/b", None),
            (Method::PUT, "a.shop.example", "/a", Some(Mismatch::Method)),
            (Method::GET, "shop.example", "/a", Some(Mismatch::Host)),
            (Method::GET, "", "/a", Some(Mismatch::Host)),
            (Method::GET, "a.shop.example", "/b", Some(Mismatch::Path)),
        ] {
            let path = Path::parse(path, Folding::Exact).unwrap();
            let asked = Asked { method: &method, host, path: &path, address: None };
            assert_eq!(rule.mismatch(&asked), expected, "{method} {host} {path:?}");
        }
    }
}
