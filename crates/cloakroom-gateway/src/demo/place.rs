//! Where sessions are kept, and the way there.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use cloakroom::{ConnectError, Store, StoreUrl};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, chain};

const FILE: &str = "sessions.db";

/// Where sessions are kept. As a node is told of it, it is the URL, with its password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Place(StoreUrl);

impl Place {
    /// Reads a URL. Only its scheme is judged here; the store judges the rest.
    pub(crate) fn parse(url: &str) -> Result<Self, Fault> {
        StoreUrl::parse(url).map(Self).map_err(|error| unknown(&error.to_string()))
    }

    /// An SQLite file in the directory `dir`.
    pub(crate) fn in_directory(dir: &Path) -> Result<Self, Fault> {
        let Some(path) = dir.join(FILE).to_str().map(str::to_owned) else {
            return Err(Fault::usage("the directory's name is not valid Unicode")
                .hint("name another with --dir"));
        };
        Self::parse(&format!("sqlite://{path}"))
    }

    /// The store's kind, in the middle of a sentence.
    pub(crate) fn kind(&self) -> &'static str {
        self.0.kind()
    }

    /// Whether it is this process's memory, which no other sees.
    pub(crate) fn is_memory(&self) -> bool {
        self.0.is_memory()
    }

    /// Connects to the store.
    pub(crate) async fn connect(&self) -> Result<Arc<dyn Store>, Fault> {
        let connected = cloakroom::connect(self.0.reveal()).await;
        connected.map_err(|error| {
            let message = format!("the store cannot be used: {}", chain(&error));
            match error {
                ConnectError::OutOfReach(_) => Fault::new(message).hint(self.hint()),
                ConnectError::Unfit(_) if self.0.is_sqlite() => Fault::new(message)
                    .hint("name a file that you can write to, with --dir or --store"),
                ConnectError::Unfit(_) => Fault::new(message)
                    .hint("set that right, or leave --store out to use a file instead"),
                _ => unknown(&message),
            }
        })
    }

    /// What helps where nobody answers.
    fn hint(&self) -> &'static str {
        if self.to_string().contains("by TLS") {
            "start it, name the authority that signed its certificate with ?ca=/path/ca.pem, or \
             leave --store out to use a file instead"
        } else {
            "start it, or leave --store out to use a file instead"
        }
    }
}

impl TryFrom<String> for Place {
    type Error = ConnectError;

    fn try_from(url: String) -> Result<Self, ConnectError> {
        StoreUrl::parse(&url).map(Self)
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.0.reveal().to_owned()
    }
}

/// Makes a directory where it is missing.
pub(crate) fn make_directory(dir: &Path) -> Result<(), Fault> {
    fs::create_dir_all(dir).map_err(|error| {
        Fault::new(format!("the directory {} cannot be made: {error}", dir.display()))
            .hint("name another with --dir")
    })
}

fn unknown(message: &str) -> Fault {
    Fault::usage(message).hint("set --store or CLOAKROOM_STORE; `cloakroom demo --help` says how")
}

/// Says where sessions are kept, without user and password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}
