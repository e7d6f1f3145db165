//! All rules in their order: the first that matches decides.

use std::sync::Arc;

use http::Method;

use super::rule::{Asked, Rule};

/// The rules in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Arc<Rule>>,
}

impl Rules {
    /// These rules, the first of them first.
    pub(crate) fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self { rules: rules.into_iter().map(Arc::new).collect() }
    }

    /// The first rule that matches. Where none does, nobody may pass.
    pub(crate) fn first(&self, asked: &Asked<'_>) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.mismatch(asked).is_none())
    }

    /// Whether it is a method that some rule is for, but for the case of its letters: it would pass
    /// that rule by, and a service could take it for the same.
    pub(crate) fn misspells(&self, method: &Method) -> bool {
        let lower = method.as_str().bytes().any(|byte| byte.is_ascii_lowercase());
        let differs =
            |ours: &Method| ours != method && ours.as_str().eq_ignore_ascii_case(method.as_str());
        lower && self.rules.iter().any(|rule| rule.methods.iter().any(differs))
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    /// Each rule that an earlier one leaves nothing to, and that one: both by their places.
    pub(crate) fn shadowed(&self) -> Vec<(usize, usize)> {
        let earlier = |later: usize| {
            let rule = self.rules.get(later)?;
            let cover = self.rules.iter().take(later).position(|earlier| earlier.covers(rule))?;
            Some((later, cover))
        };
        (0..self.rules.len()).filter_map(earlier).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Access, Folding, HostPattern, Path, Pattern};

    fn rule(path: &str, hosts: &[&str], methods: &[Method]) -> Rule {
        Rule {
            path: Pattern::parse(path, Folding::Exact).unwrap(),
            hosts: hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect(),
            methods: methods.to_vec(),
            ..Rule::for_everything(Access::Public)
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides_and_none_is_none() {
        let rules = Rules::new([
            rule("/sku/**", &[], &[]),
            rule("/order/**", &[], &[Method::GET]),
            rule("/order/**", &["shop.example"], &[]),
        ]);
        for (method, path, expected) in [
            (Method::GET, "/a/../sku", Some(0)),
            (Method::GET, "/%73ku;x/1", Some(0)),
            (Method::GET, "/order/sku", Some(1)),
            (Method::DELETE, "/order/1", Some(2)),
            (Method::GET, "/", None),
        ] {
            let path = Path::parse(path, Folding::Exact).unwrap();
            let asked = Asked { method: &method, host: "shop.example", path: &path, address: None };
            let found = rules
                .first(&asked)
                .map(|found| rules.iter().position(|rule| Arc::ptr_eq(rule, found)).unwrap());
            assert_eq!(found, expected, "{method} {path:?}");
        }
    }

    #[test]
    fn a_method_in_another_case_than_a_rules_is_told() {
        let propfind = Method::from_bytes(b"PROPFIND").unwrap();
        let rules = Rules::new([rule("/a", &[], &[]), rule("/b", &[], &[propfind])]);
        for (method, misspelled) in [("propfind", true), ("PROPFIND", false), ("report", false)] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(rules.misspells(&method), misspelled, "{method}");
        }
    }

    #[test]
    fn a_rule_that_nothing_is_left_to_is_found() {
        let rules = Rules::new([
            rule("/sku/**", &[], &[Method::GET]),
            rule("/sku/1", &[], &[Method::HEAD]),
            rule("/sku/1", &[], &[]),
            rule("/**", &["*.shop.example"], &[]),
            rule("/a", &["a.shop.example"], &[]),
            rule("/a", &[], &[]),
            rule("/**", &[], &[]),
            rule("/b", &[], &[]),
        ]);
        assert_eq!(rules.shadowed(), [(1, 0), (4, 3), (7, 6)]);
    }
}
