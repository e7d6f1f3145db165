//! The scripts, and their invocation: by hash, and whole where the server does not have them yet.

use std::fmt;

use cloakroom_core::store::Result;
use redis::{Arg, Cmd, Script, ServerErrorKind, Value};

use crate::fault::Fault;
use crate::layout::bucket_in;
use crate::route::{Batch, Route};

/// Room for the arguments of most calls, and for their bytes.
const ARGS: usize = 20;
const BYTES: usize = 512;

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

/// One invocation of a script: by its hash.
pub(crate) struct Call {
    bucket: u8,
    command: Cmd,
}

impl fmt::Debug for Call {
    /// Prints no argument: among them are users' values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args = self.command.args_iter().len();
        write!(f, "Call({:02x}, {args} arguments)", self.bucket)
    }
}

impl Call {
    /// Adds an argument.
    pub(crate) fn arg(&mut self, arg: impl AsRef<[u8]>) -> &mut Self {
        self.command.arg(arg.as_ref());
        self
    }

    /// Adds a number as an argument.
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.command.arg(number);
        self
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

    /// A call on these keys, all in one bucket.
    pub(crate) fn on<const N: usize>(&self, keys: [String; N]) -> Call {
        let bucket = keys.first().map_or(0, |key| bucket_in(key));
        let mut command = Cmd::with_capacity(ARGS, BYTES);
        command.arg("EVALSHA").arg(&self.hash).arg(N);
        for key in &keys {
            command.arg(key);
        }
        Call { bucket, command }
    }

    /// Runs the script once. A server that does not know its hash has not run it, and is sent the
    /// whole.
    pub(crate) async fn run(&self, route: &Route, call: &Call) -> Result<Value> {
        match route.send(call.bucket, &call.command).await {
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
        calls.iter().for_each(|call| batch.add(call.bucket, call.command.clone()));
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

    /// The same call with the script's text in the place of its hash.
    fn whole(&self, call: &Call) -> Cmd {
        let mut command = Cmd::with_capacity(ARGS, BYTES + self.source.len());
        command.arg("EVAL").arg(&self.source);
        for arg in call.command.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                command.arg(bytes);
            }
        }
        command
    }
}

fn is_unknown(fault: &Fault) -> bool {
    fault.is(ServerErrorKind::NoScript)
}
