//! Who asks, as the services behind the gateway are told: plain headers, and a signed assertion.

mod settings;
mod teller;

pub(crate) use settings::{HeaderNames, IdentitySettings};
pub(crate) use teller::Teller;
