//! Forwards permitted requests to the services behind the gateway.

mod balance;
mod body;
mod fleet;
mod forward;
mod headers;
mod health;
mod lane;
mod server;
mod settings;
mod stream;
mod trust;
mod upgrade;
mod upstream;
mod wire;

pub(crate) use fleet::{Fleet, Order};
pub(crate) use headers::{Borders, OwnCookies, TokenHeaders};
pub(crate) use settings::{
    Balance, HealthCheck, Scheme, ServerSettings, Timeouts, UpstreamSettings,
};
pub(crate) use trust::Authorities;
pub(crate) use upgrade::Vigil;

#[cfg(test)]
mod tests;
