//! Runs wrk, and reads what it has measured.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::process::pinned;

/// Threads of wrk.
pub(crate) const THREADS: usize = 2;
/// Connections of wrk, over all its threads.
pub(crate) const CONNECTIONS: usize = 64;

/// Each thread goes through cookies of its own, in a file with one on each line: no two requests
/// at the same time have the same, as there are far more cookies than connections.
const SCRIPT: &str = r#"
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local path, of, file = args[1], tonumber(args[2]), args[3]
  requests, at = {}, 0
  if file then
    local line_number = 0
    for line in io.lines(file) do
      if line_number % of == number then
        requests[#requests + 1] = wrk.format("GET", path, { ["Cookie"] = line })
      end
      line_number = line_number + 1
    end
  else
    requests[1] = wrk.format("GET", path)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "\nmeasured requests=%d duration_us=%d status=%d connect=%d read=%d write=%d timeout=%d p50=%d p99=%d\n",
    summary.requests, summary.duration, errors.status, errors.connect, errors.read, errors.write,
    errors.timeout, latency:percentile(50), latency:percentile(99)))
end
"#;

/// What wrk has measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Load {
    /// Requests that were answered.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) duration_us: f64,
    /// Answers that are errors, and requests without one.
    pub(crate) errors: u64,
    /// The latency that half of the requests stay under.
    pub p50_us: f64,
    /// The latency that 99 of 100 requests stay under.
    pub p99_us: f64,
}

impl Load {
    /// Requests per second.
    pub(crate) fn rps(&self) -> f64 {
        self.requests as f64 / (self.duration_us / 1e6)
    }

    /// Reads the line that the script writes at the end.
    pub(crate) fn parse(output: &str) -> Option<Self> {
        let line = output.lines().find_map(|line| line.strip_prefix("measured "))?;
        let mut load = Self::default();
        for (name, value) in line.split_whitespace().filter_map(|field| field.split_once('=')) {
            let value: u64 = value.parse().ok()?;
            match name {
                "requests" => load.requests = value,
                "duration_us" => load.duration_us = value as f64,
                "status" | "connect" | "read" | "write" | "timeout" => load.errors += value,
                "p50" => load.p50_us = value as f64,
                "p99" => load.p99_us = value as f64,
                _ => return None,
            }
        }
        (load.duration_us > 0.0).then_some(load)
    }
}

/// Asks for `path` with the cookies, or with none, for so many seconds.
///
/// # Errors
///
/// Where wrk cannot be run or says nothing that is understood.
pub(crate) async fn run(
    folder: &Path,
    port: u16,
    path: &str,
    cookies: &[String],
    seconds: u64,
) -> io::Result<Load> {
    let script = folder.join("wrk.lua");
    std::fs::write(&script, SCRIPT)?;
    let mut wrk = pinned(crate::process::Core::Load, "wrk");
    wrk.arg(format!("-t{THREADS}")).arg(format!("-c{CONNECTIONS}")).arg(format!("-d{seconds}s"));
    wrk.arg("-s").arg(&script).arg(format!("http://127.0.0.1:{port}"));
    wrk.arg("--").arg(path).arg(THREADS.to_string());
    if !cookies.is_empty() {
        let file = folder.join("cookies");
        std::fs::write(&file, lines(cookies))?;
        wrk.arg(file);
    }
    output(&mut wrk).await
}

fn lines(cookies: &[String]) -> String {
    cookies.iter().fold(String::new(), |mut text, cookie| {
        let _ = writeln!(text, "{cookie}");
        text
    })
}

async fn output(wrk: &mut Command) -> io::Result<Load> {
    let output = wrk.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    Load::parse(&text).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        io::Error::other(format!("wrk is not understood: {text}{complaint}"))
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashSet;
    use std::rc::Rc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn what_the_script_writes_is_read() {
        let output = "Running 1s test\n  2 threads\n\nmeasured requests=1000 duration_us=500000 \
            status=1 connect=0 read=2 write=0 timeout=3 p50=120 p99=900\n";
        let load = Load::parse(output).unwrap();
        assert_eq!(load.requests, 1000);
        assert_eq!(load.rps(), 2000.0);
        assert_eq!(load.errors, 6);
        assert_eq!((load.p50_us, load.p99_us), (120.0, 900.0));
    }

    /// What a server sees of the cookies.
    #[derive(Default)]
    struct Seen {
        under_way: HashSet<String>,
        all: HashSet<String>,
        clashes: usize,
    }

    /// Answers every request of a connection, and notes which cookies are under way together.
    async fn answer(mut stream: TcpStream, seen: Rc<RefCell<Seen>>) -> io::Result<()> {
        let mut request = vec![0; 1024];
        loop {
            let length = stream.read(&mut request).await?;
            if length == 0 {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let cookie = text.lines().find_map(|line| line.strip_prefix("Cookie: "));
            let cookie = cookie.unwrap_or("none").to_owned();
            {
                let mut seen = seen.borrow_mut();
                let is_new = seen.under_way.insert(cookie.clone());
                seen.clashes += usize::from(!is_new);
                seen.all.insert(cookie.clone());
            }
            // The others come in meanwhile.
            for _ in 0..CONNECTIONS {
                tokio::task::yield_now().await;
            }
            seen.borrow_mut().under_way.remove(&cookie);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
        }
    }

    #[tokio::test]
    async fn requests_under_way_together_have_different_cookies_and_all_are_used() {
        if !crate::prepare::is_there("wrk") {
            eprintln!("not run: there is no wrk");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cookies: Vec<String> = (0..16 * CONNECTIONS).map(|n| format!("s={n}")).collect();
        let seen = Rc::new(RefCell::new(Seen::default()));
        let accept = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::task::spawn_local(answer(stream, Rc::clone(&seen)));
            }
        };
        let load = LocalSet::new()
            .run_until(async {
                tokio::select! {
                    load = run(folder.path(), port, "/read", &cookies, 1) => load.unwrap(),
                    () = accept => unreachable!(),
                }
            })
            .await;
        assert!(load.requests > 0 && load.errors == 0, "{load:?}");
        let seen = seen.borrow();
        assert_eq!((seen.all.len(), seen.clashes), (cookies.len(), 0));
    }

    #[test]
    fn what_is_not_understood_is_no_measurement() {
        for output in ["", "measured requests=1", "measured requests=x duration_us=1", "unable"] {
            assert_eq!(Load::parse(output), None, "{output}");
        }
    }
}
