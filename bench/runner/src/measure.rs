//! Measures one app: what a request costs, what a session takes.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::app::{App, Case, Places};
use crate::http::Client;
use crate::info::{Calls, Info};
use crate::load::{self, Counted};
use crate::proc;
use crate::process::{Listening, free_port};
use crate::redis::Redis;
use crate::wrk::{self, CONNECTIONS, Load};

/// Sessions that the requests of one measurement go to: sixteen for each connection.
const SESSIONS: usize = 1024;
/// Requests that are looked at one after another, to see what each sends to Redis.
const WATCHED: usize = 50;
/// Commands that fewer than this part of the watched requests have sent are housekeeping.
const SENT_BY_MOST: f64 = 0.5;
/// The most sessions whose memory in the process is measured.
const CACHED: usize = 50_000;
/// Sessions that are read over and over before that, so that buffers have their size.
const WARMED: usize = 500;
/// How often those are read.
const WARM_ROUNDS: usize = 10;

/// One measurement of one case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Answered requests per second.
    pub(crate) rps: f64,
    /// Median and 99th percentile of the latency; `None` where wrk did not make the load.
    pub(crate) latency_us: Option<(f64, f64)>,
    /// CPU of the server per request.
    pub(crate) server_us: f64,
    /// CPU of Redis per request.
    pub(crate) redis_us: f64,
    /// Calls of Redis commands per request, by clients and by scripts.
    pub(crate) commands: Calls,
    /// Requests that were not answered with success.
    pub(crate) errors: u64,
    /// What became of the increments, where it is counted.
    pub(crate) counted: Option<Increments>,
}

/// What became of increments of one attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Increments {
    /// Answered with success.
    pub(crate) acknowledged: u64,
    /// Of those, how many the counter does not show. Negative where it shows more.
    pub(crate) lost: i64,
    /// Increments per second of one client alone.
    pub(crate) alone_rps: f64,
}

/// What a session takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// Bytes in Redis, index and deadline included.
    pub(crate) bytes: f64,
    /// Bytes in the process, where it caches.
    pub(crate) cached_bytes: Option<f64>,
    /// The length of the session's string in Redis, where it caches and has one.
    pub(crate) encoded_bytes: Option<f64>,
}

/// A running app and its Redis.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Which app it is.
    pub(crate) app: App,
    redis: Redis,
    server: Listening,
}

/// What had been spent when the measurement began.
struct Mark {
    server_us: f64,
    redis: Info,
}

impl Subject {
    /// Starts the app with a Redis of its own.
    ///
    /// # Errors
    ///
    /// Where either does not start.
    pub(crate) async fn start(app: App, places: &Places, folder: &Path) -> io::Result<Self> {
        let redis = Redis::start(folder, app.name).await?;
        let server = serve(app, places, folder, &redis).await?;
        Ok(Self { app, redis, server })
    }

    /// Looks whether the app does what is going to be measured, before anything is.
    ///
    /// # Errors
    ///
    /// Where it does not.
    pub(crate) async fn check(&mut self) -> io::Result<()> {
        let mut client = Client::connect(self.server.port).await?;
        if self.app.takes(Case::None) {
            return expect(client.get("/none", None).await?.body == bench_common::NAME, "/none");
        }
        let cookies = load::seed(self.server.port, 2).await?;
        expect(cookies[0] != cookies[1], "/seed, which makes one session twice,")?;
        let cookie = Some(&*cookies[0]);
        expect(client.get("/unused", cookie).await?.body == bench_common::CONSTANT, "/unused")?;
        expect(client.get("/read", cookie).await?.body == bench_common::NAME, "/read")?;
        expect(!client.get("/read", None).await?.status.is_success(), "/read without a session")?;
        expect(client.get("/write", cookie).await?.status.is_success(), "/write")?;
        expect(client.get("/login", None).await?.cookie.is_some(), "/login")?;
        expect(client.get("/contended", cookie).await?.status.is_success(), "/contended")?;
        expect(client.get("/counter", cookie).await?.body == "1", "/counter")?;
        expect(client.get("/counter", Some(&cookies[1])).await?.body == "0", "another's /counter")
    }

    /// Measures a case for so many seconds.
    ///
    /// # Errors
    ///
    /// Where the app or a tool does not do what it should.
    pub(crate) async fn measure(
        &mut self,
        case: Case,
        seconds: u64,
        folder: &Path,
    ) -> io::Result<Sample> {
        self.redis.empty()?;
        if case == Case::Contended {
            return self.contend(seconds).await;
        }
        let cookies = self.cookies(case).await?;
        let mark = self.mark()?;
        let load = wrk::run(folder, self.server.port, case.path(), &cookies, seconds).await?;
        let mut sample = self.since(&mark, load.requests)?;
        sample.take(&load);
        Ok(sample)
    }

    /// The commands that a request of a case sends to Redis; what scripts call in it is left out.
    ///
    /// # Errors
    ///
    /// Where the app does not answer.
    pub(crate) async fn sent(&mut self, case: Case) -> io::Result<Calls> {
        let cookies = self.cookies(case).await?;
        let mut client = Client::connect(self.server.port).await?;
        let watch = self.redis.watch()?;
        for request in 0..WATCHED {
            let cookie = cookies.get(request).map(|cookie| &**cookie);
            client.get(case.path(), cookie).await?;
        }
        let mut sent = watch.finish(&mut self.redis)?;
        sent.values_mut().for_each(|calls| *calls /= WATCHED as f64);
        sent.retain(|_, calls| *calls >= SENT_BY_MOST);
        Ok(sent)
    }

    /// Measures what one of `count` sessions takes in Redis and, where the app caches, in its
    /// process. The app is started anew for that.
    ///
    /// # Errors
    ///
    /// Where the app or a server does not do what it should.
    pub(crate) async fn memory(
        &mut self,
        count: usize,
        places: &Places,
        folder: &Path,
    ) -> io::Result<Memory> {
        load::seed(self.server.port, SESSIONS).await?;
        self.redis.empty()?;
        let before = self.redis.info()?.used_memory;
        let cookies = load::seed(self.server.port, count).await?;
        let after = self.redis.info()?.used_memory;
        let bytes = (after as f64 - before as f64) / count as f64;
        let mut memory = Memory { bytes, ..Memory::default() };
        if self.app.caches() {
            memory.encoded_bytes = self.redis.median_string()?;
            memory.cached_bytes = Some(self.cached(&cookies, places, folder).await?);
        }
        self.redis.empty()?;
        Ok(memory)
    }

    async fn cached(
        &mut self,
        cookies: &[String],
        places: &Places,
        folder: &Path,
    ) -> io::Result<f64> {
        self.server = serve(self.app, places, folder, &self.redis).await?;
        let (warm, rest) = cookies.split_at(WARMED.min(cookies.len() / 2));
        let read = &rest[..CACHED.min(rest.len())];
        for _ in 0..WARM_ROUNDS {
            load::each(self.server.port, "/read", warm).await?;
        }
        let before = proc::resident(self.server.pid)?;
        load::each(self.server.port, "/read", read).await?;
        let after = proc::resident(self.server.pid)?;
        Ok((after as f64 - before as f64) / read.len() as f64)
    }

    /// Sessions for a case, each read once: what is cached at all is then cached.
    async fn cookies(&self, case: Case) -> io::Result<Vec<String>> {
        if !case.has_cookie() {
            return Ok(Vec::new());
        }
        let cookies = load::seed(self.server.port, SESSIONS).await?;
        load::each(self.server.port, "/read", &cookies).await?;
        Ok(cookies)
    }

    async fn contend(&mut self, seconds: u64) -> io::Result<Sample> {
        let cookie = load::seed(self.server.port, 1).await?.concat();
        let time = Duration::from_secs(seconds);
        let alone = self.count(&cookie, 1, time).await?;
        let first = self.counter(&cookie).await?;
        let mark = self.mark()?;
        let counted = self.count(&cookie, CONNECTIONS, time).await?;
        let mut sample = self.since(&mark, counted.acknowledged + counted.errors)?;
        let shown = self.counter(&cookie).await? - first;
        sample.rps = rate(&counted);
        sample.errors = counted.errors + alone.errors;
        sample.counted = Some(Increments {
            acknowledged: counted.acknowledged,
            lost: counted.acknowledged.cast_signed() - shown,
            alone_rps: rate(&alone),
        });
        Ok(sample)
    }

    async fn count(&self, cookie: &str, connections: usize, time: Duration) -> io::Result<Counted> {
        let path = Case::Contended.path();
        load::count(self.server.port, path, cookie, connections, time).await
    }

    async fn counter(&self, cookie: &str) -> io::Result<i64> {
        let mut client = Client::connect(self.server.port).await?;
        let answer = client.get("/counter", Some(cookie)).await?;
        answer.body.trim().parse().map_err(|_| io::Error::other("/counter shows no number"))
    }

    fn mark(&mut self) -> io::Result<Mark> {
        let redis = self.redis.info()?;
        Ok(Mark { server_us: proc::group_cpu_us(self.server.pid)?, redis })
    }

    fn since(&mut self, mark: &Mark, requests: u64) -> io::Result<Sample> {
        let server_us = proc::group_cpu_us(self.server.pid)? - mark.server_us;
        let redis = self.redis.info()?;
        let each = requests.max(1) as f64;
        Ok(Sample {
            server_us: server_us / each,
            redis_us: (redis.cpu_us - mark.redis.cpu_us) / each,
            commands: redis.per_request(&mark.redis, requests),
            ..Sample::default()
        })
    }
}

impl Sample {
    fn take(&mut self, load: &Load) {
        self.rps = load.rps();
        self.latency_us = Some((load.p50_us, load.p99_us));
        self.errors = load.errors;
    }
}

async fn serve(app: App, places: &Places, folder: &Path, redis: &Redis) -> io::Result<Listening> {
    let port = free_port()?;
    let log = folder.join(format!("{}.log", app.name));
    Listening::start(app.command(places, port, &redis.url()), port, log).await
}

fn expect(fine: bool, what: &str) -> io::Result<()> {
    if fine {
        return Ok(());
    }
    Err(io::Error::other(format!("{what} is not answered as it should be")))
}

fn rate(counted: &Counted) -> f64 {
    counted.acknowledged as f64 / counted.took.as_secs_f64()
}
