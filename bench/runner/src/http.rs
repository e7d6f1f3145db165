//! One connection to an app, for what is not left to wrk: seeding, counting and checking.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, SET_COOKIE};
use hyper::http::request::Builder;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection that is kept open, and opened again where the app has closed it.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    port: u16,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("port", &self.port).finish_non_exhaustive()
    }
}

/// What an app has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// All cookies that were set, as they are sent back; `None` where none was.
    pub(crate) cookie: Option<String>,
    /// The body.
    pub(crate) body: String,
}

impl Client {
    /// Connects to the app at a port.
    ///
    /// # Errors
    ///
    /// Where nobody answers.
    pub(crate) async fn connect(port: u16) -> io::Result<Self> {
        Ok(Self { sender: connect(port).await?, port })
    }

    /// Asks for a path, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// Where there is no answer.
    pub(crate) async fn get(&mut self, path: &str, cookie: Option<&str>) -> io::Result<Answer> {
        let mut request = Request::get(path);
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        self.send(request, String::new()).await
    }

    /// Posts a body of a type, without cookies, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// Where there is no answer.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        kind: &str,
        body: String,
    ) -> io::Result<Answer> {
        self.send(Request::post(path).header(CONTENT_TYPE, kind), body).await
    }

    async fn send(&mut self, request: Builder, body: String) -> io::Result<Answer> {
        let request = request.header(HOST, format!("127.0.0.1:{}", self.port));
        let request = request.body(Full::from(body)).map_err(other)?;
        // Some servers close a connection after so many requests. Nothing was sent yet.
        if self.sender.ready().await.is_err() {
            self.sender = connect(self.port).await?;
        }
        let response = self.sender.send_request(request).await.map_err(other)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(other)?.to_bytes();
        Ok(Answer {
            status: head.status,
            cookie: cookies(&head.headers),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

/// The cookies that are sent after `set` was: what is set replaces what has its name.
pub(crate) fn merged(sent: &str, set: &str) -> String {
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let is_set = |sent: &&str| !set.split("; ").any(|set| name(set) == name(sent));
    let kept = sent.split("; ").filter(is_set);
    kept.chain(set.split("; ")).collect::<Vec<_>>().join("; ")
}

async fn connect(port: u16) -> io::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(other)?;
    // Ends with its sender; its errors are told to whoever waits for an answer.
    tokio::spawn(connection);
    Ok(sender)
}

/// The cookies of an answer as a browser sends them back. One without a value is being removed.
fn cookies(headers: &HeaderMap) -> Option<String> {
    let set = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs: Vec<&str> = set
        .filter_map(|value| value.split(';').next())
        .filter(|pair| pair.split_once('=').is_none_or(|(_, value)| !value.is_empty()))
        .collect();
    (!pairs.is_empty()).then(|| pairs.join("; "))
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn a_cookie_replaces_the_one_of_its_name_alone() {
        assert_eq!(merged("id=abc; v=1", "v=2"), "id=abc; v=2");
        assert_eq!(merged("id=abc; v=1", "id=def"), "v=1; id=def");
        assert_eq!(merged("id=abc", "v=1"), "id=abc; v=1");
    }

    #[test]
    fn cookies_are_sent_back_as_browsers_do() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookies(&headers), None);
        for set in ["session=abc; Path=/; HttpOnly", "store=true; Path=/", "old=; Max-Age=0"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(set));
        }
        assert_eq!(cookies(&headers).as_deref(), Some("session=abc; store=true"));
    }
}
