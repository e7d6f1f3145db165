//! `cloakroom run` on real sockets, in front of real services.

pub(crate) mod origin;
pub(crate) mod support;

mod way;
