//! The endpoints that other proxies ask whether a request may pass.
