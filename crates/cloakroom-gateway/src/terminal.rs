//! Writing to the person who started a command, and hearing that they press Enter.

use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// Writes a line to the standard output. A reader that has gone away is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes a line to the standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Whether a person at a terminal can press Enter for this process. A process in the background
/// that tried to read would be stopped by the terminal, with all its children.
pub(crate) fn hears_enter() -> bool {
    let stdin = io::stdin();
    let in_front = || rustix::termios::tcgetpgrp(&stdin).ok() == Some(rustix::process::getpgrp());
    stdin.is_terminal() && in_front()
}

/// Hears Enter from now on. The channel closes at the end of the input.
///
/// The thread stays in its read until the process ends: a read from a terminal cannot be called
/// off, which is why the runtime's own standard input is not used.
pub(crate) fn enters() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if line.is_err() || sender.blocking_send(()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Asks a question that is answered with yes or no; anything else is no.
pub(crate) fn agrees(question: &str) -> io::Result<bool> {
    let mut out = io::stderr().lock();
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(["y", "yes"].iter().any(|yes| line.trim().eq_ignore_ascii_case(yes)))
}

/// Reads a line that nobody should see: without echo from a terminal, after `prompt`; else from
/// whatever the input is.
pub(crate) fn read_hidden(prompt: &str) -> io::Result<String> {
    let stdin = io::stdin();
    let silenced = match stdin.is_terminal() {
        true => {
            let mut out = io::stderr().lock();
            let _ = write!(out, "{prompt}").and_then(|()| out.flush());
            Some(Silenced::begin()?)
        }
        false => None,
    };
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    if silenced.is_some() {
        drop(silenced);
        complain("");
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silenced(Termios);

impl Silenced {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silenced {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
