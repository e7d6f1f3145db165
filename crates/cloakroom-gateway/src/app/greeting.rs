//! What a gateway says at its start.

use std::net::SocketAddr;

use crate::config::Config;
use crate::login::users::{Name, Password};
use crate::serve::Door;
use crate::terminal;

/// Says what is worth a second look in a configuration that can be used.
pub(super) fn warn(warnings: &[String]) {
    for warning in warnings {
        terminal::complain(warning);
    }
}

/// Says what comes of listening to others than this machine with no file and so with no certificate.
pub(super) fn warn_of_plain_http(address: SocketAddr) {
    terminal::complain(&format!(
        "warning: {address} is plain HTTP, over which browsers keep no login but at localhost\n  \
         help: write a file with `cloakroom init`, and in it a certificate for [[listen]], a proxy \
         with HTTPS in `trusted_proxies`, or, for development, `insecure_plain_http = true`\n"
    ));
}

/// Says where the gateway is, where sessions are kept, and who the first user is. `users`: what
/// `cloakroom users` has to be told to find the same users.
pub(super) fn say(config: &Config, doors: &[Door], admin: Option<(Name, Password)>, users: &str) {
    terminal::say("Cloakroom gateway.\n");
    for (door, listen) in doors.iter().zip(&config.listen) {
        let scheme = if listen.tls.is_some() { "https" } else { "http" };
        let address = door.address().unwrap_or(listen.address);
        terminal::say(&format!("  At       {scheme}://{address}"));
    }
    for upstream in &config.upstreams {
        let servers: Vec<String> = upstream.servers.iter().map(ToString::to_string).collect();
        terminal::say(&format!("  To       {} ({})", servers.join(", "), upstream.name));
    }
    terminal::say(&format!("  Store    {}", config.store));
    if let Some((name, password)) = admin {
        terminal::say(&format!(
            "\nThere was no user yet. Sign in as `{}` with the password `{}`; it is not shown again.",
            name.as_str(),
            password.reveal(),
        ));
    }
    terminal::say(&format!(
        "\n`cloakroom users passwd admin{users}` sets a password that was lost."
    ));
    terminal::say("\nCtrl-C ends it.");
}
