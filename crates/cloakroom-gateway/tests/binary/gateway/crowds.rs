//! Many clients at once: idle ones, slow ones, and more than files may be open.

#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;

use super::backend::{Backend, public};
use super::sockets::Wire;
use super::support::{Gateway, browser};
use crate::support::BOUND;

/// Connections that wait for their next request: in the everyday test, and in the long one.
const IDLE: usize = 3_000;
const LONG_IDLE: usize = 10_000;
/// Clients that never finish their first request.
const HERD: usize = 2_000;
/// Files that are open besides.
const OTHERS: u64 = 500;
/// Connections that are opened at once.
const TOGETHER: usize = 100;

/// Lets this process have so many connections. Says how many it can have.
fn room_for(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = wanted as u64 + OTHERS;
    if limit.current.is_some_and(|current| current < needed) {
        let current = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
        let raised = Rlimit { current: Some(current), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
    }
    let has = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = wanted.min(usize::try_from(has - OTHERS).unwrap_or(usize::MAX));
    if room < wanted {
        println!("only {room} connections: no more files may be open here");
    }
    room
}

/// The memory that a process has in use, in bytes.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Has every connection send a request, some together.
async fn all_answer(wires: Vec<Wire>) -> Vec<Wire> {
    answered(wires.into_iter().map(std::future::ready)).await
}

/// Opens so many connections, and has each send a request at once.
async fn opened(gateway: &Gateway, count: usize) -> Vec<Wire> {
    let port = gateway.port;
    answered((0..count).map(|_| Wire::at(port))).await
}

async fn answered<W>(mut wires: impl Iterator<Item = W>) -> Vec<Wire>
where
    W: Future<Output = Wire> + Send + 'static,
{
    let mut answered = Vec::new();
    loop {
        let some: Vec<_> = wires
            .by_ref()
            .take(TOGETHER)
            .map(|wire| {
                tokio::spawn(async move {
                    let mut wire = wire.await;
                    let (head, body) = wire.get("/").await;
                    assert!(head.starts_with("HTTP/1.1 200 ") && body == b"app", "{head}");
                    wire
                })
            })
            .collect();
        if some.is_empty() {
            return answered;
        }
        for one in some {
            answered.push(one.await.expect("it is answered"));
        }
    }
}

async fn connected(gateway: &Gateway, count: usize) -> Vec<Wire> {
    let mut wires = Vec::with_capacity(count);
    for _ in 0..count {
        wires.push(Wire::to(gateway).await);
    }
    wires
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_cost_little_and_are_still_answered() {
    let long = std::env::var_os("CLOAKROOM_LONG").is_some();
    let count = room_for(if long { LONG_IDLE } else { IDLE });
    let app = Backend::start("app").await;
    let limits = "[limits]\nkeep_alive = \"10min\"\n";
    let gateway = Gateway::start(&format!("{limits}{}", public(&[app.url()], "")));
    // What serving costs at all is there before it is measured.
    let warm = opened(&gateway, TOGETHER).await;
    let before = memory(gateway.id());
    let idle = opened(&gateway, count).await;
    let after = memory(gateway.id());
    let each = after.saturating_sub(before) / count as u64;
    println!("{count} idle connections: {each} bytes each, {} KiB in all", after / 1024);
    let mut idle = all_answer(idle).await;
    idle.extend(warm);
    all_answer(idle).await;
    // Far above what they cost: this finds a buffer or a task that stays, not a percentage.
    assert!(each < 32 * 1024, "{each} bytes for an idle connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_herd_does_not_stop_others() {
    const BYTE: Duration = Duration::from_secs(1);
    let count = room_for(HERD);
    let app = Backend::start("app").await;
    let limits = "[limits]\nhead = \"4s\"\n";
    let gateway = Gateway::start(&format!("{limits}{}", public(&[app.url()], "")));
    let mut herd = Vec::new();
    for mut wire in connected(&gateway, count).await {
        wire.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
        herd.push(tokio::spawn(async move {
            loop {
                tokio::select! {
                    rest = wire.until_end() => return rest,
                    () = tokio::time::sleep(BYTE) => {}
                }
                _ = wire.stream.write_all(b"x").await;
            }
        }));
    }
    let client = browser();
    let (mut served, begun) = (0, Instant::now());
    while herd.iter().any(|slow| !slow.is_finished()) || served < 100 {
        let answer = client.get(gateway.url("/")).send().await.expect("others are served");
        assert_eq!(answer.status(), 200);
        served += 1;
        assert!(begun.elapsed() < BOUND, "the herd is still there");
    }
    for slow in herd {
        let rest = tokio::time::timeout(BOUND, slow).await.expect("it is cut off").unwrap();
        assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    }
    println!("{count} slow clients are cut off, {served} requests were served meanwhile");
    assert_eq!(app.asked(), served, "nothing of the herd has reached the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_lets_others_in_when_the_slow_are_cut_off() {
    let app = Backend::start("app").await;
    let limits = "[limits]\nconnections = 50\nhead = \"1s\"\n";
    let gateway = Gateway::start(&format!("{limits}{}", public(&[app.url()], "")));
    let mut herd = connected(&gateway, 50).await;
    for wire in &mut herd {
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    }
    let answer = browser().get(gateway.url("/")).send().await.expect("in the end");
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_may_be_more_connections_than_a_shell_lets_files_be_open() {
    const FEW: usize = 200;
    let app = Backend::start("app").await;
    let gateway = Gateway::start_as(&public(&[app.url()], ""), |command| {
        let mut shell = std::process::Command::new("sh");
        let few = format!("ulimit -S -n {FEW}; exec \"$0\" \"$@\"");
        shell.args(["-c", &few]).arg(command.get_program());
        shell.current_dir(command.get_current_dir().unwrap());
        shell
    });
    let idle = opened(&gateway, 3 * FEW).await;
    all_answer(idle).await;
}
