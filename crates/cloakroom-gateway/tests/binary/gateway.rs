//! `cloakroom run` on real sockets, in front of real services.

mod backend;
mod crowds;
mod failures;
mod forward_auth;
mod fronts;
pub(crate) mod origin;
mod reload;
mod serving;
mod sockets;
pub(crate) mod support;
mod upgrades;
mod way;
