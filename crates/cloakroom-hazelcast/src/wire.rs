//! One connection to a member: requests go out in the order in which they come, and answers find
//! who waits for them.
//!
//! A connection that is cut without a sign is found out by a heartbeat, which goes out now and then,
//! and at once where somebody has given an answer up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::codec::{Decoder, Message, Request, answer, request};
use crate::fault::Fault;

/// How many requests wait to be written before a caller waits to hand over its own.
const WAITING: usize = 1024;
/// How many requests are written at once.
const TOGETHER: usize = 64;
/// How long a connection is idle before it is asked whether it is still there.
const IDLE: Duration = Duration::from_secs(5);
/// How many bytes are read at once, at least.
const READ: usize = 16 << 10;

/// Bytes in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Hears what a member says without having been asked.
pub(crate) trait Ears: Send + Sync + 'static {
    /// Hears of an event, after all events and answers that came before it.
    fn hear(&self, event: &Message);

    /// Hears that there is nothing more to come.
    fn close(&self);
}

/// A connection. Cheap to clone; gone with its last clone.
#[derive(Clone)]
pub(crate) struct Wire {
    shared: Arc<Shared>,
    sending: mpsc::Sender<Bytes>,
    _task: Arc<AbortOnDrop>,
}

/// Who waits for which answer.
type Waiting = HashMap<i64, oneshot::Sender<Message>>;

struct Shared {
    /// `None` once the connection is closed.
    waiting: Mutex<Option<Waiting>>,
    next: AtomicI64,
    /// Somebody has given up an answer.
    doubt: Notify,
    ears: Arc<dyn Ears>,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Wire {
    /// Takes over a connection on which nothing but the preface was said.
    pub(crate) fn new(stream: impl Stream + 'static, ears: Arc<dyn Ears>, limit: Duration) -> Self {
        let (sending, outgoing) = mpsc::channel(WAITING);
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Some(HashMap::new())),
            next: AtomicI64::new(1),
            doubt: Notify::new(),
            ears,
        });
        let closer = Closer(Arc::clone(&shared));
        let beating = beat(Arc::clone(&shared), sending.clone(), limit);
        let task = tokio::spawn(async move {
            let (input, output) = tokio::io::split(stream);
            tokio::select! {
                () = read(input, &closer.0) => {}
                () = write(output, outgoing) => {}
                () = beating => {}
            }
        });
        Self { shared, sending, _task: Arc::new(AbortOnDrop(task)) }
    }

    /// Sends a request, once, and waits for its answer for as long as `limit`.
    pub(crate) async fn call(&self, request: Request, limit: Duration) -> Result<Message, Fault> {
        call(&self.shared, &self.sending, request, limit).await
    }

    /// Whether it is not known to be closed.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.lock().is_some()
    }

    /// Has it be found out whether the connection is still there.
    pub(crate) fn doubt(&self) {
        self.shared.doubt.notify_one();
    }
}

/// A request that was handed over. Dropped before its answer came, it leaves a doubt behind.
struct Called<'a> {
    shared: &'a Shared,
    correlation: i64,
    was_sent: bool,
}

impl Drop for Called<'_> {
    fn drop(&mut self) {
        let forgotten = self.shared.lock().as_mut().map(|all| all.remove(&self.correlation));
        if self.was_sent && forgotten.flatten().is_some() {
            self.shared.doubt.notify_one();
        }
    }
}

async fn call(
    shared: &Shared,
    sending: &mpsc::Sender<Bytes>,
    request: Request,
    limit: Duration,
) -> Result<Message, Fault> {
    let kind = request.kind();
    let (answered, answer) = oneshot::channel();
    let correlation = shared.next.fetch_add(1, Ordering::Relaxed);
    shared.lock().as_mut().ok_or(Fault::Replaced)?.insert(correlation, answered);
    let mut called = Called { shared, correlation, was_sent: false };
    let bytes = request.finish(correlation);
    let waiting = async {
        sending.send(bytes).await.map_err(|_| Fault::Replaced)?;
        called.was_sent = true;
        answer.await.map_err(|_| Fault::Closed)
    };
    let message = timeout(limit, waiting).await;
    match message {
        Ok(message) => Ok(answer::check(message?, kind)??),
        // What was never handed over has changed nothing.
        Err(_) if !called.was_sent => Err(Fault::Replaced),
        Err(_) => Err(Fault::Overdue),
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, message: Message) {
        if message.is_event() {
            return self.ears.hear(&message);
        }
        let waits = self.lock().as_mut().and_then(|all| all.remove(&message.correlation()));
        if let Some(waits) = waits {
            // Who has given up meanwhile wants it no more.
            let _ = waits.send(message);
        }
    }
}

/// Closes a connection however its task ends.
struct Closer(Arc<Shared>);

impl Drop for Closer {
    fn drop(&mut self) {
        // First nobody can be told anything any more; then those who wait see that.
        let waiting = self.0.lock().take();
        self.0.ears.close();
        drop(waiting);
    }
}

async fn read(mut input: ReadHalf<impl Stream>, shared: &Shared) {
    let (mut decoder, mut buffer) = (Decoder::default(), BytesMut::with_capacity(READ));
    while let Ok(1..) = input.read_buf(&mut buffer).await {
        loop {
            match decoder.next(&mut buffer) {
                Ok(Some(message)) => shared.take(message),
                Ok(None) => break,
                Err(malformed) => {
                    tracing::warn!(%malformed, "the connection to Hazelcast is given up");
                    return;
                }
            }
        }
        buffer.reserve(READ);
    }
}

async fn write(mut output: WriteHalf<impl Stream>, mut outgoing: mpsc::Receiver<Bytes>) {
    let (mut some, mut buffer) = (Vec::with_capacity(TOGETHER), BytesMut::new());
    while outgoing.recv_many(&mut some, TOGETHER).await > 0 {
        for bytes in some.drain(..) {
            buffer.extend_from_slice(&bytes);
        }
        if output.write_all_buf(&mut buffer).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}

/// Asks now and then whether the member is still there; ends where it is not.
async fn beat(shared: Arc<Shared>, sending: mpsc::Sender<Bytes>, limit: Duration) {
    loop {
        let _ = timeout(IDLE, shared.doubt.notified()).await;
        if call(&shared, &sending, request::ping(), limit).await.is_err() {
            return;
        }
    }
}
