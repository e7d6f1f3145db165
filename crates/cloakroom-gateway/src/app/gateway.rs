//! `cloakroom run`: one configuration put together, and another in its place when the file changes.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use axum::body::Body;
use cloakroom::{
    CookieConfig, Housekeeping, KeyRing, ResponseFuture, SessionLayer, SessionService, Sessions,
    Transport, TrustedProxies,
};
use http::Request;
use tokio::task::JoinSet;
use tower_layer::Layer;
use tower_service::Service;

use super::{greeting, ring};
use crate::blocking;
use crate::cli::{DEFAULT_DIR, RunArgs, load};
use crate::config::{Config, CookieSettings, DEFAULT_FILE, Loaded, Reload};
use crate::fault::{Fault, chain};
use crate::forward_auth::Own;
use crate::gate::{Gate, Gatekeeper, Passing};
use crate::identity::Teller;
use crate::login::Desk;
use crate::login::users::Users;
use crate::proxy::{Borders, Fleet, OwnCookies, TokenHeaders};
use crate::serve::{self, Door, Readiness};
use crate::signals::Stop;

/// What a gateway runs on.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) config: Config,
    /// The file that it comes from, as it was read; it may change.
    file: Option<(PathBuf, Loaded)>,
    /// What `cloakroom users` has to be told to find the same users.
    users: String,
}

impl Source {
    /// Whether there is a file at all.
    pub(super) const fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the configuration that the command line names.
    pub(super) fn of(args: RunArgs) -> Result<Self, Fault> {
        let default = Path::new(DEFAULT_FILE);
        let file = args
            .config
            .or_else(|| (args.upstream.is_none() && default.exists()).then(|| default.to_owned()));
        match (file, args.upstream) {
            (Some(file), _) => {
                let loaded = load(&file)?;
                greeting::warn(&loaded.warnings);
                let users = match file == default {
                    true => String::new(),
                    false => format!(" --config {}", file.display()),
                };
                Ok(Self { config: loaded.config.clone(), file: Some((file, loaded)), users })
            }
            (None, Some(upstream)) => {
                super::ring::make_directory(&args.dir)?;
                let mut config = Config::without_file(&upstream, args.listen, &args.dir)?;
                // Nobody but this machine can listen to what goes over its own loopback interface.
                config.cookie.insecure_plain_http = args.listen.ip().is_loopback();
                if !config.cookie.insecure_plain_http {
                    greeting::warn_of_plain_http(args.listen);
                }
                let found = args.dir == Path::new(DEFAULT_DIR) && !default.exists();
                let users = match found {
                    true => String::new(),
                    false => format!(" --store {}", config.store.reveal()),
                };
                Ok(Self { config, file: None, users })
            }
            (None, None) => Err(Fault::usage(format!("there is no {DEFAULT_FILE} here"))
                .hint("write one with `cloakroom init`, or say --upstream http://127.0.0.1:3000")),
        }
    }
}

/// Serves until somebody asks for the end.
pub(super) async fn run(source: Source) -> Result<(), Fault> {
    let mut stop = Stop::new()?;
    let Source { config, file, users } = source;
    serve::allow_connections();
    let doors = config.listen.iter().map(Door::open).collect::<Result<Vec<_>, _>>()?;
    let shared = Shared::open(&config).await?;
    let _sweeping = Housekeeping::start(&shared.sessions, config.sweep_every);
    let site = Site::build(config.clone(), shared.clone(), None).await?;
    let admin = site.desk.first_admin().await?;
    let ready = shared.ready.clone();
    let live = Live(Arc::new(ArcSwap::from_pointee(site)));
    let limits = config.limits.clone();
    let reload = file.map(|(file, loaded)| Reload::of(&file, &loaded)).transpose();
    let reload = reload.map_err(|error| Fault::new(format!("signals cannot be heard: {error}")))?;
    // Whoever reads that it is there may send it a hangup.
    greeting::say(&config, &doors, admin, &users);
    let reloading = reload.map(|reload| tokio::spawn(take_up(reload, live.clone(), shared)));
    serve::run(doors, limits, ready, live, stop.asked()).await;
    if let Some(reloading) = reloading {
        reloading.abort();
    }
    Ok(())
}

/// Puts another site in place whenever there is a good configuration for one.
async fn take_up(mut reload: Reload, live: Live, shared: Shared) {
    loop {
        let config = reload.next().await;
        let before = live.0.load_full();
        match Site::build(config, shared.clone(), Some(before)).await {
            Ok(site) => {
                live.0.store(Arc::new(site));
                reload.taken();
            }
            Err(error) => reload.refuse(&chain(&error)),
        }
    }
}

/// What lives as long as the process, whatever becomes of the configuration.
#[derive(Clone, Debug)]
struct Shared {
    sessions: Sessions,
    users: Users,
    ring: KeyRing,
    transport: Transport,
    cookie: CookieSettings,
    ready: Readiness,
}

impl Shared {
    async fn open(config: &Config) -> Result<Self, Fault> {
        let store = cloakroom::connect(config.store.reveal()).await.map_err(|error| {
            Fault::new(format!("the session store cannot be used: {}", chain(&error)))
                .hint(format!("[store] url names it: {}", config.store))
                .hint_without_file(format!("it is in the directory of --dir: {}", config.store))
        })?;
        let sessions = cloakroom::sessions(store).policy(config.policy.clone());
        let sessions = sessions.listener(super::endings::EndingsLog).build();
        let users = Users::open(&config.login.users).await?;
        // So that the first login does not wait for it.
        let preparing = users.clone();
        tokio::spawn(async move { preparing.prepare().await });
        Ok(Self {
            sessions: sessions.map_err(|error| Fault::new(error.to_string()))?,
            users,
            ring: ring::read_or_make(&config.identity.keys)?,
            transport: transport(&config.cookie)?,
            cookie: config.cookie.clone(),
            ready: Readiness::default(),
        })
    }
}

fn transport(settings: &CookieSettings) -> Result<Transport, Fault> {
    let mut cookie = CookieConfig::new(&settings.name).persistent(settings.persistent);
    if let Some(domain) = &settings.domain {
        cookie = cookie.domain(domain);
    }
    if settings.insecure_plain_http {
        cookie = cookie.insecure_plain_http();
    }
    let transport = match &settings.token_header {
        Some(name) => Transport::cookie_or_header(cookie, name.clone()),
        None => Transport::cookie_or_bearer(cookie),
    };
    transport.map_err(|error| Fault::new(format!("[session] the cookie: {error}")))
}

/// One configuration, put together.
#[derive(Debug)]
struct Site {
    service: SessionService<Gatekeeper>,
    fleet: Fleet,
    desk: Desk,
    /// Ends with the site.
    _keeping_up: JoinSet<()>,
}

impl Site {
    /// Reads what a configuration names, and puts all of it together.
    async fn build(
        config: Config,
        shared: Shared,
        before: Option<Arc<Self>>,
    ) -> Result<Self, Fault> {
        blocking::away(move || Self::new(&config, &shared, before.as_deref())).await?
    }

    fn new(config: &Config, shared: &Shared, before: Option<&Self>) -> Result<Self, Fault> {
        let proxies = TrustedProxies::new(config.trusted_proxies.iter().copied());
        let desk = Desk::new(
            shared.sessions.clone(),
            config.login.clone(),
            shared.ring.clone(),
            proxies.clone(),
            shared.cookie.insecure_plain_http,
            shared.users.clone(),
        )?;
        let teller = Teller::new(config.identity.clone())?;
        let mut keeping_up = JoinSet::new();
        keeping_up.spawn(teller.clone().keep_up());
        let cookies = shared.transport.cookie_names().chain(desk.cookie_names());
        let cookies = OwnCookies::new(cookies.map(str::to_owned).collect());
        let tokens = TokenHeaders::new(shared.cookie.token_header.clone());
        let names = config.identity.names.all();
        let borders = Borders::new(names, cookies.clone(), tokens.clone(), proxies.clone());
        let fleet = Fleet::new(&config.upstreams, borders, before.map(|before| &before.fleet))?;
        let gate = Gate {
            rules: config.rules.clone(),
            folding: config.folding,
            hosts: config.hosts.clone(),
            proxies,
            fleet: fleet.clone(),
            teller,
            desk: desk.clone(),
        };
        let layer = SessionLayer::new(shared.sessions.clone())
            .transport(shared.transport.clone())
            .trusted_proxies(config.trusted_proxies.iter().copied());
        let (from, ready) = (&config.forward_auth, shared.ready.clone());
        let own = Own { cookies, tokens };
        let keeper = Gatekeeper::new(gate, from, own, ready, config.limits.head);
        Ok(Self { service: layer.layer(keeper), fleet, desk, _keeping_up: keeping_up })
    }
}

/// The site of the moment. Clones are the same.
#[derive(Clone, Debug)]
struct Live(Arc<ArcSwap<Site>>);

impl Service<Request<Body>> for Live {
    type Response = <SessionService<Gatekeeper> as Service<Request<Body>>>::Response;
    type Error = Infallible;
    type Future = ResponseFuture<Passing, Body>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The gate is always ready, so a clone is, too.
        self.0.load().service.clone().call(request)
    }
}
