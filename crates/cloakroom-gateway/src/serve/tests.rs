//! Connections over real sockets.
