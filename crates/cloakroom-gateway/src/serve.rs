//! Connections from clients: listening, TLS, limits on what is slow or too large, and an orderly end.

mod settings;

pub(crate) use settings::{Limits, Listen, TlsFiles};
