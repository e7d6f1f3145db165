//! What of the machine a configuration is about: its folder, its files and its environment.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use super::trouble::Bad;

/// What is around a file.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// Relative paths begin here.
    pub(super) folder: &'a Path,
    /// What an environment variable says.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether there is a file of this name that can be read.
    pub(super) is_file: &'a dyn Fn(&Path) -> bool,
    /// What stands in a file.
    pub(super) content: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

impl<'a> Surroundings<'a> {
    /// This process's, with its files below `folder`.
    pub(super) fn of_process(folder: &'a Path) -> Self {
        Self {
            folder,
            variable: &|name| env::var(name).ok(),
            is_file: &|path| {
                fs::File::open(path)
                    .is_ok_and(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))
            },
            content: &|path| fs::read(path),
        }
    }

    /// A path as it is meant in the file.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    /// The path of a file that has to be there.
    pub(super) fn file(&self, text: &str) -> Result<PathBuf, Bad> {
        let path = self.path(text);
        if (self.is_file)(&path) {
            return Ok(path);
        }
        let missing = format!("there is no file {} that can be read", path.display());
        Err(Bad::new(missing).help("paths are relative to the configuration's folder"))
    }

    /// What stands in a file that has to be there.
    pub(super) fn content(&self, text: &str) -> Result<Vec<u8>, Bad> {
        let path = self.file(text)?;
        let unread = |error| Bad::new(format!("{} cannot be read: {error}", path.display()));
        (self.content)(&path).map_err(unread)
    }

    /// A text with the values of environment variables in the places of `${NAME}`.
    pub(super) fn filled(&self, text: &str) -> Result<String, Bad> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            let (name, behind) = behind
                .split_once('}')
                .filter(|(name, _)| is_name(name))
                .ok_or_else(|| Bad::new("a `${` has no name of a variable and no `}` behind it"))?;
            let value = (self.variable)(name).ok_or_else(|| {
                Bad::new(format!("the environment variable {name} is not set"))
                    .help("set it where cloakroom is started, or write the value here")
            })?;
            filled.push_str(before);
            filled.push_str(&value);
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// An URL whose path, if it is that of an SQLite file, begins in the folder.
    pub(super) fn url(&self, url: String) -> Result<String, Bad> {
        let Some(rest) = url.strip_prefix("sqlite:") else {
            return Ok(url);
        };
        match rest.strip_prefix("//").unwrap_or(rest) {
            "" => Ok(url),
            path => match self.path(path).to_str() {
                Some(path) => Ok(format!("sqlite://{path}")),
                None => Err(Bad::new("the configuration's folder has a name that is not Unicode")),
            },
        }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    !name.is_empty() && name.chars().all(plain)
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Surroundings({})", self.folder.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(folder: &Path) -> Surroundings<'_> {
        let variable = &|name: &str| (name == "SECRET").then(|| "hunter2".to_owned());
        Surroundings { folder, variable, is_file: &|_| false, content: &|path| fs::read(path) }
    }

    #[test]
    fn variables_are_filled_in_and_a_missing_one_is_named() {
        let around = around(Path::new(""));
        let filled = around.filled("redis://:${SECRET}@h/$x").unwrap();
        assert_eq!(filled, "redis://:hunter2@h/$x");
        let missing = around.filled("redis://:${SECRETS}@h").unwrap_err();
        assert_eq!(missing.what, "the environment variable SECRETS is not set");
        for text in ["${", "${}", "${a b}", "${SECRET"] {
            assert!(around.filled(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_of_sqlite_is_found_from_the_configurations_folder() {
        let around = around(Path::new("/etc/cloakroom"));
        for (url, expected) in [
            ("sqlite://sessions.db", "sqlite:///etc/cloakroom/sessions.db"),
            ("sqlite:sessions.db", "sqlite:///etc/cloakroom/sessions.db"),
            ("sqlite:///var/x.db", "sqlite:///var/x.db"),
            ("redis://h/1", "redis://h/1"),
        ] {
            assert_eq!(around.url(url.to_owned()).unwrap(), expected);
        }
    }
}
