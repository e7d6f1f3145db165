//! `cloakroom run` on real sockets, in front of real services.

mod forward_auth;
mod fronts;
pub(crate) mod origin;
pub(crate) mod support;

mod headers;
mod limits;
mod login_attacks;
mod outage;
mod paths;
mod second;
mod secrets;
mod smuggling;
mod way;
mod wire;
