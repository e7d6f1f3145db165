//! The real gateway behind real proxies.

#[path = "gateway/forward_auth.rs"]
mod forward_auth;
#[path = "gateway/fronts.rs"]
mod fronts;
