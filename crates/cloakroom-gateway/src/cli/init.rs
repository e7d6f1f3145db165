//! `cloakroom init`: writes a configuration to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use clap::Args;

use crate::config::{DEFAULT_FILE, TEMPLATE};
use crate::fault::Fault;
use crate::terminal;

/// Writes a configuration with everything that can be set, explained.
///
/// It works as it is: everything asks for a login, and goes to http://127.0.0.1:3000. A file that is
/// there already is left alone.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The file to write.
    #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
    file: PathBuf,
}

impl InitArgs {
    /// Writes the file.
    pub(crate) fn run(self) -> Result<(), Fault> {
        let name = self.file.display();
        // Passwords may be added to it.
        let made = owners_alone().open(&self.file);
        let mut file = made.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Fault::new(format!("{name} is there already"))
                .hint("name another file, or move that one away"),
            _ => Fault::new(format!("{name} cannot be made: {error}")),
        })?;
        let written = file.write_all(TEMPLATE.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| Fault::new(format!("{name} cannot be written: {error}")))?;
        terminal::say(&format!(
            "{name} is written. Look at [[upstream]] and [[rule]] in it, then:"
        ));
        terminal::say("");
        terminal::say(&format!("  cloakroom check{}", named(&self.file, "")));
        terminal::say(&format!("  cloakroom run{}", named(&self.file, "--config ")));
        Ok(())
    }
}

/// Makes a new file that only its owner can read.
fn owners_alone() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// How a command is told of a file, where it would look for another.
fn named(file: &std::path::Path, option: &str) -> String {
    match file == std::path::Path::new(DEFAULT_FILE) {
        true => String::new(),
        false => format!(" {option}{}", file.display()),
    }
}
