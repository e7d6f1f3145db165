//! What the demo was asked to do, and what each of its nodes is told.

use std::fmt;
use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::place::Place;
use crate::cli::DemoArgs;
use crate::fault::Fault;

/// One of the two nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Name {
    /// The first.
    A,
    /// The second.
    B,
}

impl Name {
    /// The node's letter as people read it.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }

    /// The node's letter as programs read it.
    pub(crate) fn lower(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The other node.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letter())
    }
}

/// What the demo was asked to do.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where sessions are kept.
    pub(crate) place: Place,
    /// The directory that the store's file is in, where it is ours to make.
    pub(crate) dir: Option<PathBuf>,
    port: u16,
    port_a: u16,
    port_b: u16,
}

impl Settings {
    /// Reads what the command line means.
    pub(crate) fn of(args: DemoArgs) -> Result<Self, Fault> {
        let DemoArgs { store, dir, port, port_a, port_b } = args;
        if port_a == port_b {
            return Err(Fault::usage(format!("both nodes cannot have port {port_a}"))
                .hint("give each its own with --port-a and --port-b"));
        }
        if port == port_a || port == port_b {
            return Err(Fault::usage(format!(
                "the gateway and a node cannot both have port {port}"
            ))
            .hint("give each its own with --port, --port-a and --port-b"));
        }
        let (place, dir) = match store {
            Some(url) => (Place::parse(&url)?, None),
            None => (Place::in_directory(&dir)?, Some(dir)),
        };
        Ok(Self { place, dir, port, port_a, port_b })
    }

    /// Where the gateway listens.
    pub(crate) fn front(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Where a node listens.
    pub(crate) fn addr(&self, name: Name) -> SocketAddr {
        let port = match name {
            Name::A => self.port_a,
            Name::B => self.port_b,
        };
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    /// What a node is told.
    pub(crate) fn node(&self, name: Name) -> NodeSettings {
        NodeSettings {
            name,
            addr: self.addr(name),
            other_port: self.addr(name.other()).port(),
            front_port: self.port,
            place: self.place.clone(),
            alone: !self.place.is_memory(),
        }
    }
}

/// What a node is told. It travels over the node's standard input: a store's address may hold a
/// password, and arguments can be read by everybody on the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NodeSettings {
    /// Which node.
    pub(crate) name: Name,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// Where the other node listens, on the same host.
    pub(crate) other_port: u16,
    /// Where the gateway listens, on the same host.
    pub(crate) front_port: u16,
    /// Where sessions are kept.
    pub(crate) place: Place,
    /// Whether the node is a process of its own, which can be killed without the other.
    pub(crate) alone: bool,
}

impl NodeSettings {
    /// Reads them from the first line of `input`.
    pub(crate) fn read(mut input: impl BufRead) -> Result<Self, Fault> {
        let mut line = String::new();
        let read = input.read_line(&mut line);
        read.ok().and_then(|_| serde_json::from_str(&line).ok()).ok_or_else(|| {
            Fault::usage("demo-node is a part of the demo and is not run by hand")
                .hint("run `cloakroom demo`")
        })
    }

    /// Writes them as one line.
    pub(crate) fn write(&self, mut output: impl Write) -> std::io::Result<()> {
        serde_json::to_writer(&mut output, self)?;
        output.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_told_in_one_line_and_shows_no_password() {
        let place = Place::parse("redis://:hunter2@127.0.0.1:6379").unwrap();
        let settings = Settings { place, dir: None, port: 3000, port_a: 3001, port_b: 3002 };
        let mut line = Vec::new();
        settings.node(Name::B).write(&mut line).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let read = NodeSettings::read(&line[..]).unwrap();
        assert_eq!((read.name, read.addr.port(), read.other_port), (Name::B, 3002, 3001));
        assert!(!format!("{read:?} {settings:?}").contains("hunter2"));
    }
}
