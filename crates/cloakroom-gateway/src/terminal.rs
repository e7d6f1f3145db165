//! Writing to the person who started a command, and hearing that they press Enter.

use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;

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
