//! `cloakroom run` on real sockets, in front of real services.

mod browser;
mod forward_auth;
mod fronts;
mod looks;
pub(crate) mod origin;
pub(crate) mod support;

mod way;
