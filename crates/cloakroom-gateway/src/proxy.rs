//! Forwards permitted requests to the services behind the gateway.

mod fleet;
mod settings;

pub(crate) use fleet::{Fleet, Order};
pub(crate) use settings::{
    Balance, HealthCheck, Scheme, ServerSettings, Timeouts, UpstreamSettings,
};
