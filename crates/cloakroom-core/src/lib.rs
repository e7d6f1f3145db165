//! Cloakroom's model of a session: what is kept, how it changes, who may change it, and what a
//! store has to promise. It knows no HTTP, no runtime and no driver.
//!
//! A request's [`Session`] collects edits; [`Sessions`] carries them to a [`Store`] as one
//! [`Commit`]; [`Record::apply`] says what a commit does, and is the specification that every
//! store is held to.

pub mod commit;
mod ended;
pub mod error;
pub mod event;
pub mod keeping;
pub mod policy;
pub mod record;
pub mod session;
pub mod sessions;
pub mod slot;
pub mod store;
pub mod time;
pub mod token;

pub use commit::{Commit, Guard, Limit, Outcome};
pub use error::Error;
pub use event::{Ended, Ending, Event, Listener};
pub use policy::Policy;
pub use record::Record;
pub use session::{Client, Login, Reply, Session};
pub use sessions::{Entry, Info, Live, OpenEntry, Sessions, Swept};
pub use slot::Slot;
pub use store::{MemoryStore, Store};
pub use time::{Clock, SystemClock, Timer, Timestamp};
pub use token::{Key, Kind, Token};
