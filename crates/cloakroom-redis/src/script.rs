//! The scripts, and their invocation: by hash, and whole where the server does not have them yet.

use cloakroom_core::store::{Error, Result};
use redis::{Cmd, ErrorKind, Pipeline, Script, ServerErrorKind, Value};

use crate::fault::Said;
use crate::link::Link;

const RECORD: &str = include_str!("lua/record.lua");

/// Every script of this store.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) commit: Code,
    pub(crate) create: Code,
    pub(crate) remove: Code,
    pub(crate) lease: Code,
    pub(crate) acknowledge: Code,
    pub(crate) seat: Code,
    pub(crate) unseat: Code,
    pub(crate) bar: Code,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            commit: Code::on_records(include_str!("lua/commit.lua")),
            create: Code::on_records(include_str!("lua/create.lua")),
            remove: Code::on_records(include_str!("lua/remove.lua")),
            lease: Code::new(include_str!("lua/lease.lua")),
            acknowledge: Code::new(include_str!("lua/acknowledge.lua")),
            seat: Code::new(include_str!("lua/seat.lua")),
            unseat: Code::new(include_str!("lua/unseat.lua")),
            bar: Code::new(include_str!("lua/bar.lua")),
        }
    }
}

/// One script.
#[derive(Debug)]
pub(crate) struct Code {
    source: String,
    hash: String,
}

/// One script's keys and arguments.
#[derive(Debug, Default)]
pub(crate) struct Call {
    keys: Vec<String>,
    args: Vec<Vec<u8>>,
}

impl Call {
    /// A call on these keys, all in one slot.
    pub(crate) fn on<const N: usize>(keys: [String; N]) -> Self {
        Self { keys: keys.into(), args: Vec::with_capacity(12) }
    }

    /// Adds an argument.
    pub(crate) fn arg(&mut self, arg: impl Into<Vec<u8>>) -> &mut Self {
        self.args.push(arg.into());
        self
    }

    /// Adds a number as an argument.
    pub(crate) fn number(&mut self, number: impl ToString) -> &mut Self {
        self.arg(number.to_string())
    }
}

impl Code {
    fn new(source: &str) -> Self {
        let hash = Script::new(source).get_hash().to_owned();
        Self { source: source.to_owned(), hash }
    }

    /// A script that looks inside records.
    fn on_records(source: &str) -> Self {
        Self::new(&format!("{RECORD}{source}"))
    }

    /// Runs the script once. A server that does not know its hash has not run it, and is sent the
    /// whole.
    pub(crate) async fn run(&self, link: &Link, call: &Call) -> Result<Value> {
        match link.send(&self.by_hash(call)).await {
            Err(Error::Refused(source)) if is_unknown(&source) => {
                link.send(&self.whole(call)).await
            }
            answer => answer,
        }
    }

    /// Runs the script for each call, in one round trip. A call that the server refuses is an
    /// error value.
    ///
    /// The first is sent whole, so that the server knows the script when it comes to the others.
    pub(crate) async fn run_all(&self, link: &Link, calls: &[Call]) -> Result<Vec<Value>> {
        let mut pipeline = Pipeline::with_capacity(calls.len());
        for (index, call) in calls.iter().enumerate() {
            pipeline.add_command(match index {
                0 => self.whole(call),
                _ => self.by_hash(call),
            });
        }
        link.send_all(&pipeline).await
    }

    fn by_hash(&self, call: &Call) -> Cmd {
        command("EVALSHA", &self.hash, call)
    }

    fn whole(&self, call: &Call) -> Cmd {
        command("EVAL", &self.source, call)
    }
}

fn command(name: &str, script: &str, call: &Call) -> Cmd {
    let mut command = Cmd::new();
    command.arg(name).arg(script).arg(call.keys.len());
    for key in &call.keys {
        command.arg(key);
    }
    for arg in &call.args {
        command.arg(arg.as_slice());
    }
    command
}

fn is_unknown(source: &cloakroom_core::store::Source) -> bool {
    source
        .downcast_ref::<Said>()
        .is_some_and(|Said(error)| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}
