//! A TCP proxy that breaks connections on demand, living ones too.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What the proxy does with what it reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Forwards everything, and first of all what was held.
    Pass,
    /// Reads and forwards nothing: the other side seems to hang.
    Hold,
    /// Forwards requests, and swallows their answers.
    DropAnswers,
    /// Closes every connection, and every new one at once.
    Reset,
    /// Forwards requests; as soon as the server begins to answer, swallows the answer and closes
    /// that connection. The server has acted and the client cannot know.
    CutAfterAnswerLost,
}

/// A proxy in front of one server. It closes with everything that goes through it on drop.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy to the server at `server`, in [`Mode::Pass`].
    pub async fn to(server: SocketAddr) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port to listen on");
        let addr = listener.local_addr().expect("a bound address");
        let (mode, modes) = watch::channel(Mode::Pass);
        let task = tokio::spawn(accept(listener, server, modes));
        Self { addr, mode, task }
    }

    /// Where clients connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Switches to another mode, for living connections too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// The mode it is in.
    pub fn mode(&self) -> Mode {
        *self.mode.borrow()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, modes: watch::Receiver<Mode>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(connect(client, server, modes.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until either side or the mode ends it.
async fn connect(client: TcpStream, server: SocketAddr, mut modes: watch::Receiver<Mode>) {
    if *modes.borrow_and_update() == Mode::Reset {
        let _ = client.set_zero_linger();
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (requests, answers) = (modes.clone(), modes.clone());
    let broken = tokio::select! {
        broken = pump(&mut from_client, &mut to_server, requests, false) => broken,
        broken = pump(&mut from_server, &mut to_client, answers, true) => broken,
        _ = modes.wait_for(|mode| *mode == Mode::Reset) => true,
    };
    if broken && let Ok(client) = from_client.reunite(to_client) {
        // Without a linger the client hears of it at once, and as a broken connection.
        let _ = client.set_zero_linger();
    }
}

/// Moves bytes one way until the connection is to be closed; whether the mode demands it.
async fn pump(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut modes: watch::Receiver<Mode>,
    answers: bool,
) -> bool {
    let mut held = Vec::new();
    loop {
        tokio::select! {
            read = from.read_buf(&mut held) => if !read.is_ok_and(|bytes| bytes > 0) {
                return false;
            },
            changed = modes.changed() => if changed.is_err() { return true },
        }
        let mode = *modes.borrow_and_update();
        match mode {
            Mode::Hold => continue,
            Mode::DropAnswers if answers => {}
            Mode::CutAfterAnswerLost if answers && !held.is_empty() => return true,
            _ => {
                if to.write_all(&held).await.is_err() {
                    return false;
                }
            }
        }
        held.clear();
    }
}
