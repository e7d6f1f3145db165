//! `cloakroom run` on real sockets, in front of real services.

mod backend;
mod browser;
mod crowds;
mod failures;
mod first_steps;
mod forward_auth;
mod fronts;
mod looks;
mod mended;
pub(crate) mod origin;
mod reload;
mod serving;
mod sockets;
pub(crate) mod support;
mod trust;
mod upgrades;

mod headers;
mod limits;
mod login_attacks;
mod outage;
mod paths;
mod second;
mod secrets;
mod shown;
mod smuggling;
mod way;
mod wire;
