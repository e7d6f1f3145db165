//! One connection to the servers, over which each request is sent once and answered within a
//! deadline.
//!
//! The driver connects again by itself, and keeps what it is given while it has no connection: a
//! request is not given to it then. Its own JetStream calls are not used, because they try again
//! and do not tell what was not sent from what was not answered.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, HeaderMap, Request, Subscriber};
use bytes::Bytes;
use futures_util::future::{Either, select};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::fault::Fault;
use crate::url::{Target, User};

/// The first wait before another attempt at a connection.
const FIRST_DELAY: Duration = Duration::from_millis(10);
/// How often the wait doubles.
const DOUBLINGS: u32 = 6;
/// How often a connection that is quiet is asked whether it is there.
const PING: Duration = Duration::from_secs(5);

/// A connection. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link {
    client: Client,
    /// How often the connection was lost.
    lost: watch::Receiver<u64>,
    limit: Duration,
    probing: Arc<AtomicBool>,
}

impl Link {
    /// Connects to one of the servers.
    pub(crate) async fn connect(
        target: &Target,
        connecting: Duration,
        limit: Duration,
    ) -> Result<Self, async_nats::ConnectError> {
        let (loses, lost) = watch::channel(0);
        let mut options = ConnectOptions::new()
            .name("cloakroom")
            .connection_timeout(connecting)
            .ping_interval(PING)
            .request_timeout(None)
            .require_tls(target.secure)
            .reconnect_delay_callback(delay)
            .event_callback(move |event| {
                if event == Event::Disconnected {
                    loses.send_modify(|times| *times += 1);
                }
                std::future::ready(())
            });
        options = match &target.user {
            User::Nobody => options,
            User::Token(token) => options.token(token.clone()),
            User::Named(name, password) => {
                options.user_and_password(name.clone(), password.clone())
            }
        };
        if let Some(ca) = &target.files.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let (Some(certificate), Some(key)) = (&target.files.certificate, &target.files.key) {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        let scheme = if target.secure { "tls" } else { "nats" };
        let servers: Vec<String> =
            target.servers.iter().map(|server| format!("{scheme}://{server}")).collect();
        let client = options.connect(servers).await?;
        Ok(Self { client, lost, limit, probing: Arc::default() })
    }

    /// The version of the server that it is connected to.
    pub(crate) fn version(&self) -> String {
        self.client.server_info().version
    }

    /// Whether there is a connection.
    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// How long an answer may take.
    pub(crate) const fn limit(&self) -> Duration {
        self.limit
    }

    /// Sends a request, once, and returns the answer's payload.
    pub(crate) async fn ask(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<Bytes, Fault> {
        if !self.is_connected() {
            return Err(Fault::Unconnected);
        }
        let mut lost = self.lost.clone();
        lost.mark_unchanged();
        let mut request = Request::new().payload(payload).timeout(None);
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let asked = pin!(self.client.send_request(subject, request));
        let broken = pin!(lost.changed());
        let answer = match timeout(self.limit, select(asked, broken)).await {
            Ok(Either::Left((answer, _))) => answer,
            Ok(Either::Right(_)) => return Err(Fault::Lost),
            Err(_) => {
                self.probe();
                return Err(Fault::Late);
            }
        };
        answer.map(|message| message.payload).map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => Fault::Nobody,
            RequestErrorKind::MaxPayloadExceeded => Fault::TooLarge,
            RequestErrorKind::InvalidSubject => Fault::Unexpected("a subject"),
            RequestErrorKind::TimedOut => Fault::Late,
            RequestErrorKind::Other => Fault::Lost,
        })
    }

    /// Asks JetStream's interface.
    pub(crate) async fn api(
        &self,
        what: &'static str,
        subject: &str,
        question: &Value,
    ) -> Result<Value, Fault> {
        let question = if question.is_null() { Bytes::new() } else { question.to_string().into() };
        let answer = self.ask(format!("$JS.API.{subject}"), None, question).await?;
        read(what, &answer)
    }

    /// Hears what is sent to `subject`.
    pub(crate) async fn hear(&self, subject: String) -> Result<Subscriber, Fault> {
        self.client.subscribe(subject).await.map_err(|_| Fault::Unconnected)
    }

    /// Sends something that has no answer.
    pub(crate) async fn say(&self, subject: async_nats::Subject) {
        let _ = self.client.publish(subject, Bytes::new()).await;
    }

    /// A subject that nobody else uses.
    pub(crate) fn inbox(&self) -> String {
        self.client.new_inbox()
    }

    /// Waits until the connection is lost.
    pub(crate) fn lost(&self) -> watch::Receiver<u64> {
        let mut lost = self.lost.clone();
        lost.mark_unchanged();
        lost
    }

    /// Asks the server whether it is still there, unless somebody is asking, and connects anew
    /// where it is not: a connection may be cut without a sign. Nobody listens to a new inbox, and
    /// that is what the server answers.
    pub(crate) fn probe(&self) {
        if self.probing.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            let request = Request::new().timeout(None);
            let asked = this.client.send_request(this.client.new_inbox(), request);
            if timeout(this.limit, asked).await.is_err() && this.is_connected() {
                let _ = this.client.force_reconnect().await;
            }
            this.probing.store(false, Ordering::Release);
        });
    }
}

/// Reads an answer of JetStream.
pub(crate) fn read(what: &'static str, answer: &[u8]) -> Result<Value, Fault> {
    let answer: Value = serde_json::from_slice(answer).map_err(|_| Fault::Unexpected(what))?;
    match answer.get("error") {
        None => Ok(answer),
        Some(error) => {
            let code = error["err_code"].as_u64().or(error["code"].as_u64()).unwrap_or(0);
            Err(Fault::said(code, error["description"].as_str().unwrap_or("no reason is given")))
        }
    }
}

/// How long to wait before an attempt at a connection. The first comes at once.
fn delay(attempts: usize) -> Duration {
    match u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX) {
        0 => Duration::ZERO,
        times => FIRST_DELAY * 2_u32.pow(times.min(DOUBLINGS)),
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}
