//! Whole requests over real sockets: client, gateway, server.

mod bodies;
mod failures;
mod requests;
mod second;
mod smuggling;
mod support;
mod switching;
