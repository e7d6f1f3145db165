//! The configuration files of everything that takes part.

/// Where things are, as configurations name them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    /// Where clients come in.
    pub(super) listen: u16,
    /// Who says whether a request may pass.
    pub(super) judge: u16,
    /// The service.
    pub(super) origin: u16,
}

/// What a proxy needs to know of a session service that it asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The path that it is asked by.
    pub(super) path: &'static str,
    /// The header that it tells services the user in.
    pub(super) user: &'static str,
}

/// nginx with one worker, and these servers.
fn nginx(servers: &str) -> String {
    format!(
        "daemon off;\nworker_processes 1;\npid nginx.pid;\nevents {{ worker_connections 4096; }}\n\
         http {{\naccess_log off;\nkeepalive_requests 1000000000;\nclient_body_temp_path body;\n\
         proxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\n\
         scgi_temp_path scgi;\n{servers}}}\n"
    )
}

/// The service: answers every path at once.
pub(super) fn origin(port: u16) -> String {
    nginx(&format!(
        "server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"hello\"; }} }}\n"
    ))
}

/// A plain proxy: connections are kept, and nobody is asked.
pub(super) fn nginx_plain(ports: Ports) -> String {
    let Ports { listen, origin, .. } = ports;
    nginx(&format!(
        "upstream service {{ server 127.0.0.1:{origin}; keepalive 128; \
         keepalive_requests 1000000000; }}\nserver {{ listen 127.0.0.1:{listen}; location / {{ \
         proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}\n"
    ))
}

/// nginx as `deploy/nginx` has it.
pub(super) fn nginx_deployed(deployed: &str, ports: Ports) -> String {
    let listen = format!("listen 127.0.0.1:{};", ports.listen);
    nginx(&placed(deployed, ports).replace("listen 80;", &listen))
}

/// nginx that asks a session service, with as many kept connections as `deploy/nginx` has.
pub(super) fn nginx_asking(asked: Asked, ports: Ports) -> String {
    let Ports { listen, judge, origin } = ports;
    let Asked { path, user } = asked;
    let variable = user.to_ascii_lowercase().replace('-', "_");
    nginx(&format!(
        "upstream judge {{ server 127.0.0.1:{judge}; keepalive 32; }}\n\
         upstream service {{ server 127.0.0.1:{origin}; keepalive 32; }}\n\
         server {{ listen 127.0.0.1:{listen}; proxy_http_version 1.1; location = /ask {{ internal; \
         proxy_pass http://judge{path}; proxy_pass_request_body off; \
         proxy_set_header Content-Length \"\"; proxy_set_header Connection \"\"; \
         proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; \
         proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Uri $request_uri; \
         }}\nlocation / {{ auth_request /ask; \
         auth_request_set $user $upstream_http_{variable}; proxy_pass http://service; \
         proxy_set_header Host $http_host; proxy_set_header Connection \"\"; \
         proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; \
         proxy_set_header {user} $user; }} }}\n"
    ))
}

/// Traefik's file of where it listens.
pub(super) fn traefik_static(deployed: &str, ports: Ports) -> String {
    deployed.replace("\":80\"", &format!("\"127.0.0.1:{}\"", ports.listen))
}

/// Traefik's other file, for a session service.
pub(super) fn traefik_asking(asked: Asked, ports: Ports) -> String {
    let Ports { judge, origin, .. } = ports;
    let Asked { path, user } = asked;
    format!(
        "http:\n  routers:\n    service: {{ rule: \"PathPrefix(`/`)\", middlewares: [judge], \
         service: service }}\n  middlewares:\n    judge:\n      forwardAuth:\n        address: \
         \"http://127.0.0.1:{judge}{path}\"\n        authResponseHeaders: [{user}]\n  services:\n    \
         service:\n      loadBalancer:\n        servers: [{{ url: \"http://127.0.0.1:{origin}\" }}]\n"
    )
}

/// What Caddy does that is not of this comparison.
const CADDY: &str = "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n\
                     \tdefault_bind 127.0.0.1\n}\n";

/// Caddy as `deploy/caddy` has it.
pub(super) fn caddy_deployed(deployed: &str, ports: Ports) -> String {
    let listen = format!("\n:{} {{", ports.listen);
    CADDY.to_owned() + &placed(deployed, ports).replace("\n:80 {", &listen)
}

/// Caddy that asks a session service.
pub(super) fn caddy_asking(asked: Asked, ports: Ports) -> String {
    let Ports { listen, judge, origin } = ports;
    let Asked { path, user } = asked;
    format!(
        "{CADDY}:{listen} {{\n\tforward_auth 127.0.0.1:{judge} {{\n\t\turi {path}\n\t\t\
         copy_headers {user}\n\t}}\n\treverse_proxy 127.0.0.1:{origin}\n}}\n"
    )
}

/// The gateway. `proxies`: whether it is asked by proxies on this machine.
pub(super) fn gateway(ports: Ports, redis: &str, proxies: bool) -> String {
    let Ports { listen, origin, .. } = ports;
    let trust = if proxies { "trusted_proxies = [\"127.0.0.1\"]\n" } else { "" };
    let asked = if proxies { "[forward_auth]\nfrom = [\"127.0.0.1\"]\n" } else { "" };
    format!(
        "workers = 1\n{trust}{asked}[store]\nurl = \"{redis}\"\n\
         [session.cookie]\ninsecure_plain_http = true\n\
         [login]\nusers = \"sqlite://users.db\"\n\
         [[listen]]\naddress = \"127.0.0.1:{listen}\"\n\
         [[upstream]]\nname = \"shop\"\nservers = [\"http://127.0.0.1:{origin}\"]\n\
         balance = \"least-connections\"\n\
         [[rule]]\npath = \"/sku/**\"\naccess = \"deny\"\n\
         [[rule]]\npath = \"/order/**\"\naccess = \"login\"\nupstream = \"shop\"\n\
         [[rule]]\npath = \"/admin/**\"\naccess = \"role:admin\"\nupstream = \"shop\"\n\
         [[rule]]\npath = \"/**\"\naccess = \"public\"\nupstream = \"shop\"\n"
    )
}

/// A deployed configuration with the places of this run.
pub(super) fn placed(deployed: &str, ports: Ports) -> String {
    let Ports { judge, origin, .. } = ports;
    let judged = deployed.replace("127.0.0.1:8080", &format!("127.0.0.1:{judge}"));
    judged.replace("127.0.0.1:3000", &format!("127.0.0.1:{origin}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { listen: 1, judge: 2, origin: 3 };

    /// What `deploy/` has.
    fn deployed(file: &str) -> String {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
        std::fs::read_to_string(folder.join(file)).unwrap()
    }

    #[test]
    fn deployed_configurations_get_the_places_of_a_run() {
        for (text, listen) in [
            (nginx_deployed(&deployed("nginx/cloakroom.conf"), PORTS), "listen 127.0.0.1:1;"),
            (caddy_deployed(&deployed("caddy/Caddyfile"), PORTS), "\n:1 {"),
        ] {
            assert!(text.contains(listen), "{text}");
            assert!(text.contains("127.0.0.1:2") && text.contains("127.0.0.1:3"), "{text}");
            assert!(!text.contains(":8080") && !text.contains(":3000"), "{text}");
        }
        let text = placed(&deployed("traefik/cloakroom.yml"), PORTS);
        assert!(
            text.contains("127.0.0.1:2/.cloakroom") && text.contains("127.0.0.1:3\""),
            "{text}"
        );
        let text = traefik_static(&deployed("traefik/traefik.yml"), PORTS);
        assert!(text.contains("address: \"127.0.0.1:1\""), "{text}");
    }

    #[test]
    fn a_service_is_asked_by_its_path_and_its_user_is_passed_on() {
        let asked = Asked { path: "/auth", user: "X-User-Id" };
        let text = nginx_asking(asked, PORTS);
        assert!(text.contains("$upstream_http_x_user_id") && text.contains("http://judge/auth;"));
        for text in [traefik_asking(asked, PORTS), caddy_asking(asked, PORTS)] {
            assert!(text.contains("/auth") && text.contains("X-User-Id"), "{text}");
        }
    }
}
