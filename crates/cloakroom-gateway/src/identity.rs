//! Who asks, as the services behind the gateway are told: plain headers, and a signed assertion.

mod keys;
mod published;
mod settings;
mod spelling;
mod teller;
mod timetable;

pub(crate) use published::router;
pub(crate) use settings::{HeaderNames, IdentitySettings};
pub(crate) use teller::Teller;
