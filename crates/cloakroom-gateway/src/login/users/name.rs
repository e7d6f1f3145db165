//! The names of users and roles: what they may be, and the one spelling of each.

use std::fmt;

/// The most bytes of a user's name.
const MOST_NAME: usize = 128;
/// The most bytes of a role's name.
const MOST_ROLE: usize = 64;
/// The most roles of a user.
const MOST_ROLES: usize = 32;

/// A user's name in its one spelling: without blanks around it, ASCII letters small.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Name(String);

/// A name that nobody can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum BadName {
    #[error("a user's name has 1 to {MOST_NAME} bytes, and no control characters")]
    User,
    #[error("a role has 1 to {MOST_ROLE} letters of a-z, A-Z, 0-9 and any of . _ : -")]
    Role,
    #[error("a user has at most {MOST_ROLES} roles")]
    TooManyRoles,
}

impl Name {
    pub(crate) fn parse(text: &str) -> Result<Self, BadName> {
        let text = text.trim();
        let fits = (1..=MOST_NAME).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_ascii_lowercase())).ok_or(BadName::User)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Roles, each once and in order.
pub(crate) fn roles(given: impl IntoIterator<Item = String>) -> Result<Vec<String>, BadName> {
    let mut roles: Vec<String> = given.into_iter().collect();
    roles.sort_unstable();
    roles.dedup();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    let fits = |role: &String| (1..=MOST_ROLE).contains(&role.len()) && role.bytes().all(plain);
    if !roles.iter().all(fits) {
        return Err(BadName::Role);
    }
    if roles.len() > MOST_ROLES {
        return Err(BadName::TooManyRoles);
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        for (given, name) in [
            ("alice", "alice"),
            ("  Alice\t", "alice"),
            ("ÄRGER 张伟", "Ärger 张伟"),
            ("a b", "a b"),
        ] {
            assert_eq!(Name::parse(given).unwrap().as_str(), name.to_ascii_lowercase());
        }
        let long = "a".repeat(MOST_NAME + 1);
        for bad in ["", "  ", "a\nb", "a\u{0}", "a\u{85}b", &long] {
            assert_eq!(Name::parse(bad), Err(BadName::User), "{bad:?}");
        }
    }

    #[test]
    fn roles_are_plain_words() {
        let read = |given: &[&str]| roles(given.iter().map(|&role| role.to_owned()));
        assert_eq!(read(&["b", "a", "b"]).unwrap(), ["a", "b"]);
        assert_eq!(read(&[]).unwrap(), Vec::<String>::new());
        for bad in ["", "a b", "a,b", "é", "a\n"] {
            assert_eq!(read(&[bad]), Err(BadName::Role), "{bad:?}");
        }
        let many: Vec<String> = (0..=MOST_ROLES).map(|n| n.to_string()).collect();
        assert_eq!(roles(many), Err(BadName::TooManyRoles));
    }
}
