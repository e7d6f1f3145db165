//! `cloakroom run` on real sockets, in front of real services.

mod forward_auth;
mod fronts;
pub(crate) mod origin;
pub(crate) mod support;

mod shown;
mod way;
