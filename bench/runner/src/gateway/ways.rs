//! The ways to the service that are compared, each with its servers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::config::{self, Ports};
use super::judges::{self, Judge};
use super::obtain::Programs;
use super::options::Options;
use crate::app::Places;
use crate::http::Client;
use crate::process::{Core, Listening, free_port, pinned};

/// The plain proxy, which all are compared with.
pub(super) const PLAIN: &str = "nginx";
/// A bare proxy of the same stack as the gateway.
pub(super) const BARE: &str = "hyper-util";
/// The gateway by itself.
pub(super) const OURS: &str = "cloakroom";
/// What is asked for: a page for which one has to be signed in.
pub(super) const PATH: &str = "/order/1";
/// Proxies that ask somebody.
const FRONTS: [Front; 3] = [Front::Nginx, Front::Traefik, Front::Caddy];

/// A way to the service.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) cookies: Vec<String>,
    /// The process groups that a request passes.
    pub(super) groups: Vec<u32>,
}

/// Everything that runs.
#[derive(Debug, Default)]
pub(super) struct Site {
    pub(super) ways: Vec<Way>,
    /// What is not measured, and why.
    pub(super) missing: Vec<String>,
    servers: Vec<Listening>,
    judges: Vec<Judge>,
}

/// A proxy that asks.
#[derive(Clone, Copy, Debug)]
enum Front {
    Nginx,
    Traefik,
    Caddy,
}

impl Front {
    const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Traefik => "traefik",
            Self::Caddy => "caddy",
        }
    }
}

impl Site {
    /// Starts everything that is wanted and can be had, and sees that each way does what it should.
    pub(super) async fn start(
        folder: &Path,
        programs: &Programs,
        options: &Options,
    ) -> io::Result<Self> {
        let mut site = Self::default();
        let origin = site.nginx(folder, "origin", Core::Load, config::origin).await?;
        if options.wants(OURS) {
            let judge = judges::cloakroom(folder, programs, origin, false).await?;
            let way = Way {
                name: OURS.to_owned(),
                port: judge.server.port,
                cookies: judge.cookies.clone(),
                groups: vec![judge.server.pid],
            };
            site.add(way, judge).await?;
        }
        if options.wants(PLAIN) {
            site.plain(folder, origin).await?;
        }
        if options.wants(BARE) {
            site.bare(folder, programs, origin).await?;
        }
        for name in ["cloakroom", "express-session", "oauth2-proxy"] {
            let names = FRONTS.map(|front| format!("{} + {name}", front.name()));
            if names.iter().any(|name| options.wants(name)) {
                site.asking(folder, programs, options, (name, origin)).await;
            }
        }
        Ok(site)
    }

    async fn add(&mut self, way: Way, judge: Judge) -> io::Result<()> {
        check(&way, true).await?;
        self.ways.push(way);
        self.judges.push(judge);
        Ok(())
    }

    async fn plain(&mut self, folder: &Path, origin: u16) -> io::Result<()> {
        let config = |listen| config::nginx_plain(Ports { listen, judge: 0, origin });
        let port = self.nginx(folder, PLAIN, Core::Server, config).await?;
        let groups = self.servers.last().map(|server| server.pid).into_iter().collect();
        // The same requests as the gateway gets.
        let cookies = self.ways.first().map(|ours| ours.cookies.clone()).unwrap_or_default();
        let way = Way { name: PLAIN.to_owned(), port, cookies, groups };
        check(&way, false).await?;
        self.ways.push(way);
        Ok(())
    }

    async fn bare(&mut self, folder: &Path, programs: &Programs, origin: u16) -> io::Result<()> {
        let port = free_port()?;
        let mut command = pinned(Core::Server, &programs.bare);
        command.arg(format!("127.0.0.1:{port}")).arg(format!("127.0.0.1:{origin}"));
        let server = Listening::start(command, port, folder.join("hyper-util.log")).await?;
        let cookies = self.ways.first().map(|ours| ours.cookies.clone()).unwrap_or_default();
        let way = Way { name: BARE.to_owned(), port, cookies, groups: vec![server.pid] };
        self.servers.push(server);
        check(&way, false).await?;
        self.ways.push(way);
        Ok(())
    }

    /// Starts a session service, and each proxy in front of it.
    async fn asking(
        &mut self,
        folder: &Path,
        programs: &Programs,
        options: &Options,
        (name, origin): (&str, u16),
    ) {
        let judge = match name {
            "cloakroom" => judges::cloakroom(folder, programs, origin, true).await,
            "express-session" => judges::express(folder, programs).await,
            _ => judges::oauth2_proxy(folder, programs).await,
        };
        let judge = match judge {
            Ok(judge) => judge,
            Err(error) => return self.missing.push(format!("{name}: {error}")),
        };
        for front in FRONTS {
            let way = format!("{} + {name}", front.name());
            if !options.wants(&way) {
                continue;
            }
            if let Err(error) = self.front(folder, programs, front, &way, (&judge, origin)).await {
                self.missing.push(format!("{way}: {error}"));
            }
        }
        self.judges.push(judge);
    }

    async fn front(
        &mut self,
        folder: &Path,
        programs: &Programs,
        front: Front,
        name: &str,
        (judge, origin): (&Judge, u16),
    ) -> io::Result<()> {
        let folder = folder.join(name.replace(" + ", "-"));
        fs::create_dir(&folder)?;
        let listen = free_port()?;
        let ports = Ports { listen, judge: judge.server.port, origin };
        write(&folder, front, judge, ports)?;
        let program = match front {
            Front::Nginx => PathBuf::from("nginx"),
            Front::Traefik => programs.traefik.clone().map_err(io::Error::other)?,
            Front::Caddy => programs.caddy.clone().map_err(io::Error::other)?,
        };
        let mut command = pinned(Core::Server, program);
        match front {
            Front::Nginx => command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(&folder),
            Front::Traefik => command.arg("--configFile=traefik.yml"),
            Front::Caddy => {
                command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"])
            }
        };
        command.current_dir(&folder).env("HOME", &folder);
        let server = Listening::start(command, listen, folder.join("log")).await?;
        let way = Way {
            name: name.to_owned(),
            port: listen,
            cookies: judge.cookies.clone(),
            groups: vec![server.pid, judge.server.pid],
        };
        self.servers.push(server);
        check(&way, true).await?;
        self.ways.push(way);
        Ok(())
    }

    /// Starts an nginx, and says where it listens.
    async fn nginx(
        &mut self,
        folder: &Path,
        name: &str,
        core: Core,
        config: impl Fn(u16) -> String,
    ) -> io::Result<u16> {
        let folder = folder.join(name);
        fs::create_dir(&folder)?;
        let port = free_port()?;
        fs::write(folder.join("nginx.conf"), config(port))?;
        let mut command = pinned(core, "nginx");
        command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(&folder);
        self.servers.push(Listening::start(command, port, folder.join("log")).await?);
        Ok(port)
    }
}

/// Writes a proxy's configuration: for the gateway the one in `deploy/`.
fn write(folder: &Path, front: Front, judge: &Judge, ports: Ports) -> io::Result<()> {
    let deployed =
        |file: &str| fs::read_to_string(Places::here().bench.join("../deploy").join(file));
    let caddy = folder.join("Caddyfile");
    let (traefik, dynamic) = (folder.join("traefik.yml"), folder.join("cloakroom.yml"));
    match (front, judge.asked) {
        (Front::Nginx, None) => {
            let text = config::nginx_deployed(&deployed("nginx/cloakroom.conf")?, ports);
            fs::write(folder.join("nginx.conf"), text)
        }
        (Front::Nginx, Some(asked)) => {
            fs::write(folder.join("nginx.conf"), config::nginx_asking(asked, ports))
        }
        (Front::Traefik, asked) => {
            let text = config::traefik_static(&deployed("traefik/traefik.yml")?, ports);
            fs::write(traefik, text)?;
            let text = match asked {
                None => config::placed(&deployed("traefik/cloakroom.yml")?, ports),
                Some(asked) => config::traefik_asking(asked, ports),
            };
            fs::write(dynamic, text)
        }
        (Front::Caddy, None) => {
            fs::write(caddy, config::caddy_deployed(&deployed("caddy/Caddyfile")?, ports))
        }
        (Front::Caddy, Some(asked)) => fs::write(caddy, config::caddy_asking(asked, ports)),
    }
}

/// Sees that who is signed in gets the service's answer, and nobody else where that is `guarded`.
async fn check(way: &Way, guarded: bool) -> io::Result<()> {
    let mut client = Client::connect(way.port).await?;
    let mut passed = client.get(PATH, way.cookies.first().map(String::as_str)).await?;
    // A proxy may listen before it has read where to.
    for _ in 0..50 {
        if passed.status.is_success() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        passed = client.get(PATH, way.cookies.first().map(String::as_str)).await?;
    }
    if !passed.status.is_success() || passed.body != "hello" {
        let said = format!("a signed-in user gets {}: {}", passed.status, passed.body);
        return Err(io::Error::other(said));
    }
    let nobody = client.get(PATH, None).await?;
    match guarded && nobody.status.is_success() {
        true => Err(io::Error::other("it lets through who is not signed in")),
        false => Ok(()),
    }
}
