//! Bytes as an attacker sends them, and a service that keeps the bytes that it got.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::support::shop;
use crate::support::BOUND;

/// A request, as it came to a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Its first line and its headers, each with its end.
    pub(crate) head: String,
    pub(crate) body: String,
    /// What stood behind the last chunk.
    pub(crate) trailers: String,
}

impl Seen {
    /// What was asked for.
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of a header, whose name is compared without case.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        values(&self.head, name)
    }
}

/// A service that remembers what it was asked.
pub(crate) struct Witness {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Witness {
    /// Starts one that answers each request with its target.
    pub(crate) fn start() -> Self {
        Self::answering(|seen| answer("", seen.target()))
    }

    /// Starts one that answers with the bytes that `play` makes of a request.
    pub(crate) fn answering(play: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, play) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(play));
        let keeping = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (keeping, play) = (Arc::clone(&keeping), Arc::clone(&play));
                thread::spawn(move || serve(stream, &keeping, &*play));
            }
        });
        Self { address, seen }
    }

    /// What it has been asked since the last call.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The configuration of a gateway before it, with these rules.
    pub(crate) fn config(&self, rules: &[(&str, &str)]) -> String {
        shop(&format!("http://{}", self.address), rules)
    }
}

/// A response with this text, and headers more, each with its end.
pub(crate) fn answer(headers: &str, text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{text}", text.len())
}

fn serve(mut stream: TcpStream, keeping: &Mutex<Vec<Seen>>, play: &dyn Fn(&Seen) -> String) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    while let Some(seen) = read(&mut reader) {
        let answer = play(&seen);
        keeping.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Seen> {
    let mut seen = Seen { head: section(reader)?, ..Seen::default() };
    let length = seen.all("content-length").first().and_then(|text| text.parse().ok());
    if !seen.all("transfer-encoding").is_empty() {
        loop {
            let size = usize::from_str_radix(line(reader)?.trim_end(), 16).ok()?;
            if size == 0 {
                break;
            }
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            seen.body += &latin(&chunk[..size]);
        }
        seen.trailers = section(reader)?;
    } else if let Some(length) = length {
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        seen.body = latin(&body);
    }
    Some(seen)
}

/// Lines up to an empty one.
fn section(reader: &mut impl BufRead) -> Option<String> {
    let mut text = String::new();
    loop {
        let line = line(reader)?;
        if line == "\r\n" {
            return Some(text);
        }
        text += &line;
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok().filter(|count| *count > 0)?;
    Some(latin(&line))
}

/// Each byte a character, so that none is lost.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// A response of the gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// The values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        values(&self.head, name)
    }

    /// Where it leads.
    pub(crate) fn location(&self) -> &str {
        self.all("location").first().copied().unwrap_or_default()
    }

    /// The value of a cookie that it sets.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let sets = self.all("set-cookie").into_iter();
        let mut values =
            sets.filter_map(|set| set.strip_prefix(name)?.strip_prefix('=')?.split(';').next());
        values.next()
    }
}

/// Sends bytes on a connection of their own, and returns the responses until the gateway ends it.
pub(crate) fn exchange(port: u16, bytes: impl AsRef<[u8]>) -> Vec<Reply> {
    let mut stream = connect(port);
    // Who is refused early may find the connection closed already.
    _ = stream.write_all(bytes.as_ref());
    replies(&mut stream)
}

/// Connects to the gateway.
pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the gateway listens");
    stream.set_read_timeout(Some(BOUND)).expect("a bound");
    stream
}

/// The responses on a connection until the gateway ends it.
pub(crate) fn replies(stream: &mut TcpStream) -> Vec<Reply> {
    let mut all = Vec::new();
    if let Err(error) = stream.read_to_end(&mut all) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it never ends: {}", latin(&all));
    }
    let mut reader = BufReader::new(&*all);
    std::iter::from_fn(|| reply(&mut reader)).collect()
}

/// One response to a request that is no `HEAD`.
pub(crate) fn reply(reader: &mut impl BufRead) -> Option<Reply> {
    let head = section(reader)?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut reply = Reply { status, head, body: String::new() };
    if status == 101 {
        return Some(reply);
    }
    let length = reply.all("content-length").first().and_then(|text| text.parse::<u64>().ok());
    let mut body = Vec::new();
    reader.take(length.unwrap_or(u64::MAX)).read_to_end(&mut body).ok()?;
    reply.body = latin(&body);
    Some(reply)
}

fn values<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let ours = headers.filter(|(header, _)| header.eq_ignore_ascii_case(name));
    ours.map(|(_, value)| value.trim()).collect()
}

/// The answer to one request with these headers, each with its end, and this body.
pub(crate) fn ask(port: u16, method: &str, target: &str, headers: &str, body: &str) -> Reply {
    let length = match body.is_empty() {
        true => String::new(),
        false => format!("Content-Length: {}\r\n", body.len()),
    };
    let host = format!("Host: 127.0.0.1:{port}\r\nConnection: close\r\n");
    let request = format!("{method} {target} HTTP/1.1\r\n{host}{headers}{length}\r\n{body}");
    let mut replies = exchange(port, request);
    assert_eq!(replies.len(), 1, "{method} {target} {headers:?}: {replies:?}");
    replies.remove(0)
}

/// The answer to one `GET`.
pub(crate) fn get(port: u16, target: &str, headers: &str) -> Reply {
    ask(port, "GET", target, headers, "")
}

/// What a browser says of itself when somebody follows a link.
pub(crate) const NAVIGATES: &str =
    "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";

/// Tries to sign somebody in as a program does.
pub(crate) fn try_to_sign_in(port: u16, name: &str, password: &str, headers: &str) -> Reply {
    let body = format!("{{\"username\":\"{name}\",\"password\":\"{password}\"}}");
    let headers = format!("{headers}Content-Type: application/json\r\n");
    ask(port, "POST", "/.cloakroom/api/login", &headers, &body)
}

/// Signs somebody in, and returns their session's cookie, `id=...`.
pub(crate) fn sign_in(port: u16, name: &str, password: &str) -> String {
    let reply = try_to_sign_in(port, name, password, "");
    assert_eq!(reply.status, 200, "{reply:?}");
    format!("id={}", reply.cookie("id").expect("a session"))
}
