//! A Redis server of its own for each app, and the little of its protocol that measuring needs.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::info::{Calls, Info};
use crate::process::{Core, Listening, free_port, pinned};

/// How long an answer may take: emptying a server of 100,000 sessions takes some time.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often is looked whether a cluster is up.
const LOOK: Duration = Duration::from_millis(50);
/// How many records are looked at to learn how long one is.
const SAMPLES: usize = 200;

/// A Redis server that keeps nothing on disk.
#[derive(Debug)]
pub(crate) struct Redis {
    server: Listening,
    scheme: &'static str,
    connection: BufReader<TcpStream>,
}

impl Redis {
    /// Starts a server on a free port, on the core of the load.
    ///
    /// # Errors
    ///
    /// Where there is no redis-server, or it does not start.
    pub(crate) async fn start(folder: &Path, name: &str) -> io::Result<Self> {
        Self::start_with(folder, name, &[]).await
    }

    /// Starts a server that is a Redis Cluster by itself: the master of every slot.
    ///
    /// # Errors
    ///
    /// As for [`Redis::start`].
    pub(crate) async fn start_cluster(folder: &Path, name: &str) -> io::Result<Self> {
        let file = format!("nodes-{name}.conf");
        let options = ["--cluster-enabled", "yes", "--cluster-config-file", &file];
        let mut redis = Self::start_with(folder, name, &options).await?;
        redis.scheme = "redis+cluster";
        redis.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])?;
        let began = Instant::now();
        while !redis.ask(&["CLUSTER", "INFO"])?.contains("cluster_state:ok") {
            if began.elapsed() > PATIENCE {
                return Err(io::Error::other("a Redis Cluster of one server does not come up"));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(redis)
    }

    async fn start_with(folder: &Path, name: &str, options: &[&str]) -> io::Result<Self> {
        let port = free_port()?;
        let mut command = pinned(Core::Load, "redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no"]).arg("--dir").arg(folder).args(options);
        let log = folder.join(format!("redis-{name}.log"));
        let server = Listening::start(command, port, log).await?;
        Ok(Self { connection: connect(port)?, scheme: "redis", server })
    }

    /// Where an app finds it.
    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.server.port)
    }

    /// What the server says of itself.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub(crate) fn info(&mut self) -> io::Result<Info> {
        Ok(Info::parse(&self.ask(&["INFO", "everything"])?))
    }

    /// Removes everything.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub(crate) fn empty(&mut self) -> io::Result<()> {
        self.ask(&["FLUSHALL", "SYNC"]).map(drop)
    }

    /// The median length of the string values, a session each in the apps that cache; `None` where
    /// there are none.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub(crate) fn median_string(&mut self) -> io::Result<Option<f64>> {
        let mut lengths = Vec::new();
        for _ in 0..SAMPLES {
            let key = self.ask(&["RANDOMKEY"])?;
            if self.ask(&["TYPE", &key])? == "string" {
                lengths.push(self.ask(&["STRLEN", &key])?.parse().unwrap_or_default());
            }
        }
        Ok(crate::stats::median(&lengths))
    }

    /// Begins to watch every command.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub(crate) fn watch(&self) -> io::Result<Watch> {
        let mut connection = connect(self.server.port)?;
        send(&mut connection, &["MONITOR"])?;
        read(&mut connection)?;
        Ok(Watch(connection))
    }

    fn ask(&mut self, words: &[&str]) -> io::Result<String> {
        send(&mut self.connection, words)?;
        read(&mut self.connection)
    }
}

/// Sees every command that the server is sent.
#[derive(Debug)]
pub(crate) struct Watch(BufReader<TcpStream>);

impl Watch {
    /// The commands that clients have sent since, scripts' own left out, by name in lower case.
    ///
    /// # Errors
    ///
    /// Where the server does not answer.
    pub(crate) fn finish(mut self, redis: &mut Redis) -> io::Result<Calls> {
        const LAST: &str = "the measurement ends here";
        redis.ask(&["ECHO", LAST])?;
        let mut calls = BTreeMap::new();
        loop {
            let line = read(&mut self.0)?;
            if line.contains(LAST) {
                return Ok(calls);
            }
            if let Some(command) = sent(&line) {
                *calls.entry(command).or_default() += 1.0;
            }
        }
    }
}

/// The command in a line of MONITOR, where a client has sent it and no script.
fn sent(line: &str) -> Option<String> {
    let (from, command) = line.split_once("] \"")?;
    if from.ends_with(" lua") {
        return None;
    }
    Some(command.split('"').next()?.to_ascii_lowercase())
}

fn connect(port: u16) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn send(connection: &mut BufReader<TcpStream>, words: &[&str]) -> io::Result<()> {
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    connection.get_mut().write_all(command.as_bytes())
}

/// Reads one answer as text: a line, a number or a string. Nothing there is the empty text.
fn read(connection: &mut impl io::BufRead) -> io::Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", text)) => Ok(text.to_owned()),
        Some(("$", "-1")) => Ok(String::new()),
        Some(("$", length)) => {
            let length: usize = length.parse().map_err(io::Error::other)?;
            let mut bytes = vec![0; length + 2];
            connection.read_exact(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
        }
        _ => Err(io::Error::other(format!("Redis answers {line:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let mut answers = &b"+OK\r\n:42\r\n$5\r\nhe\r\nl\r\n$-1\r\n-ERR no\r\n"[..];
        assert_eq!(read(&mut answers).unwrap(), "OK");
        assert_eq!(read(&mut answers).unwrap(), "42");
        assert_eq!(read(&mut answers).unwrap(), "he\r\nl");
        assert_eq!(read(&mut answers).unwrap(), "");
        assert!(read(&mut answers).is_err());
        assert!(read(&mut answers).is_err(), "the end is no answer");
    }

    #[test]
    fn what_scripts_call_is_told_from_what_clients_send() {
        let line = r#"1700000000.1 [0 127.0.0.1:5000] "EVALSHA" "abc" "1""#;
        assert_eq!(sent(line).as_deref(), Some("evalsha"));
        assert_eq!(sent(r#"1700000000.1 [0 lua] "get" "key""#), None);
        assert_eq!(sent("OK"), None);
    }
}
