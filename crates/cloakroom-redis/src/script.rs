//! The scripts, and their invocation: by hash, and whole where the server does not have them yet.

use std::fmt;
use std::io::Write;

use cloakroom_core::store::Result;
use redis::{Cmd, Script, ServerErrorKind, Value};

use crate::fault::Fault;
use crate::layout::bucket_in;
use crate::route::{Batch, Route};

const RECORD: &str = include_str!("lua/record.lua");

/// Every script of this store.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) put: Code,
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
            put: Code::new(include_str!("lua/put.lua")),
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
#[derive(Default)]
pub(crate) struct Call {
    bucket: u8,
    keys: Vec<String>,
    /// All arguments, one behind the other.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl fmt::Debug for Call {
    /// Prints no argument: among them are users' values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({:?}, {} arguments)", self.keys, self.ends.len())
    }
}

impl Call {
    /// A call on these keys, all in one bucket.
    pub(crate) fn on(keys: impl Into<Vec<String>>) -> Self {
        let keys = keys.into();
        let bucket = keys.first().map_or(0, |key| bucket_in(key));
        let (bytes, ends) = (Vec::with_capacity(1024), Vec::with_capacity(18));
        Self { bucket, keys, bytes, ends }
    }

    /// Adds an argument.
    pub(crate) fn arg(&mut self, arg: impl AsRef<[u8]>) -> &mut Self {
        self.bytes.extend_from_slice(arg.as_ref());
        self.ends.push(self.bytes.len());
        self
    }

    /// Adds a number as an argument.
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        // Writing to memory does not fail.
        let _ = write!(self.bytes, "{number}");
        self.ends.push(self.bytes.len());
        self
    }

    fn args(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
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
    pub(crate) async fn run(&self, route: &Route, call: &Call) -> Result<Value> {
        match route.send(call.bucket, &self.by_hash(call)).await {
            Err(fault) if is_unknown(&fault) => {
                Ok(Box::pin(route.send(call.bucket, &self.whole(call))).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// Runs the script for each call, in one round trip; in two where a server does not know its
    /// hash. There is an answer or an error for each.
    pub(crate) async fn run_all(&self, route: &Route, calls: &[Call]) -> Vec<Result<Value, Fault>> {
        let mut batch = Batch::with_capacity(calls.len());
        calls.iter().for_each(|call| batch.add(call.bucket, self.by_hash(call)));
        let mut all = route.send_all(batch).await;
        let unknown = |answer: &Result<_, Fault>| answer.as_ref().is_err_and(is_unknown);
        let again: Vec<usize> = (0..all.len()).filter(|at| unknown(&all[*at])).collect();
        if !again.is_empty() {
            let mut batch = Batch::with_capacity(again.len());
            again.iter().for_each(|at| batch.add(calls[*at].bucket, self.whole(&calls[*at])));
            for (at, answer) in again.into_iter().zip(route.send_all(batch).await) {
                all[at] = answer;
            }
        }
        all
    }

    fn by_hash(&self, call: &Call) -> Cmd {
        command("EVALSHA", &self.hash, call)
    }

    fn whole(&self, call: &Call) -> Cmd {
        command("EVAL", &self.source, call)
    }
}

fn command(name: &str, script: &str, call: &Call) -> Cmd {
    let count = 3 + call.keys.len() + call.ends.len();
    let size = call.keys.iter().map(String::len).sum::<usize>() + call.bytes.len();
    let mut command = Cmd::with_capacity(count, size + script.len() + 16);
    command.arg(name).arg(script).arg(call.keys.len());
    for key in &call.keys {
        command.arg(key);
    }
    for arg in call.args() {
        command.arg(arg);
    }
    command
}

fn is_unknown(fault: &Fault) -> bool {
    fault.is(ServerErrorKind::NoScript)
}
