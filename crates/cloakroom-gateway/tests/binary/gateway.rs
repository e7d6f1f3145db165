//! `cloakroom run` on real sockets, in front of real services.

mod forward_auth;
mod fronts;
mod mended;
pub(crate) mod origin;
pub(crate) mod support;

mod way;
