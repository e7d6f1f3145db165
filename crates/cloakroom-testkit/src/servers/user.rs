//! Who a server runs as: some refuse to run as root.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The user and group that a server's package has made, where this process is root; else nobody
/// else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account(Option<(u32, u32)>);

impl Account {
    /// The account of `name`. Panics where this process is root and there is none.
    pub(super) fn of(name: &str) -> Self {
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        if !is_root {
            return Self(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").expect("the users are known");
        let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let number = |field: Option<&&str>| field.and_then(|field| field.parse().ok());
        let account = fields
            .filter(|fields| fields.first() == Some(&name))
            .find_map(|fields| number(fields.get(2)).zip(number(fields.get(3))));
        assert!(account.is_some(), "there is no user {name}; scripts/test installs its server");
        Self(account)
    }

    /// Has a command run as this account.
    pub(super) fn take(self, command: &mut Command) {
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
    }
}

/// Makes `path` the user's, where this process is root.
pub(super) fn give(path: &Path, user: &str) {
    if let Account(Some((user, group))) = Account::of(user) {
        chown(path, Some(user), Some(group)).expect("a server's directory is given to its user");
    }
}
