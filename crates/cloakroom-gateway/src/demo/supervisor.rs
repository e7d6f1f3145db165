//! The demo's own process: starts both nodes, tells what becomes of them, brings them back.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use tokio::signal::unix::Signal;
use tokio::sync::mpsc;

use super::child::Node;
use super::settings::{Name, Settings};
use super::{INVITATION, USERS};
use crate::fault::Fault;
use crate::signals;
use crate::terminal::{self, say};

/// Runs both nodes as processes of their own until somebody asks for their end.
pub(crate) async fn run(settings: Settings) -> Result<(), Fault> {
    let mut stop = signals::Stop::new()?;
    // Whoever mistypes the store's address learns it here, once, and not from two nodes.
    let durable = settings.place.connect().await?.capabilities().durable;
    let started = tokio::select! {
        started = Supervisor::start(settings, durable) => started?,
        () = stop.asked() => return Ok(()),
    };
    let mut supervisor = started;
    supervisor.greet();
    tokio::select! {
        () = supervisor.watch() => {}
        () = stop.asked() => {}
    }
    supervisor.stop().await;
    Ok(())
}

/// Both nodes, and the ways to be asked to bring one back.
#[derive(Debug)]
struct Supervisor {
    settings: Settings,
    /// Whether sessions outlive the store's own restart.
    durable: bool,
    a: Option<Node>,
    b: Option<Node>,
    bring_back: Signal,
    /// Heard from the first end of a node on, where somebody can press it.
    enter: Option<mpsc::Receiver<()>>,
}

/// What a supervisor waits for.
enum Happened {
    Ended(Name, Option<ExitStatus>),
    BringBack,
}

impl Supervisor {
    async fn start(settings: Settings, durable: bool) -> Result<Self, Fault> {
        let bring_back = signals::bring_back()?;
        let (a, b) = (settings.node(Name::A), settings.node(Name::B));
        let (a, b) = tokio::try_join!(Node::start(&a), Node::start(&b))?;
        Ok(Self { settings, durable, a: Some(a), b: Some(b), bring_back, enter: None })
    }

    fn greet(&self) {
        say("Cloakroom demo: two nodes, one session.\n");
        for (name, node) in [(Name::A, &self.a), (Name::B, &self.b)] {
            let id = node.as_ref().map_or(0, Node::id);
            say(&format!("  Node {name}   {}   process {id}", self.url(name)));
        }
        let how_long = match self.durable {
            true => "which outlives the demo",
            false => "which forgets sessions when it restarts",
        };
        say(&format!("  Store    {}, {how_long}", self.settings.place));
        say(USERS);
        say(&format!("\n{INVITATION}"));
        say("Then end a node, as roughly as you like, and go on at the other:\n");
        say(&format!("  kill -9 {}\n", self.a.as_ref().map_or(0, Node::id)));
        say("Ctrl-C ends the demo.");
    }

    /// Tells what becomes of the nodes, for ever.
    async fn watch(&mut self) {
        loop {
            match self.next().await {
                Happened::Ended(name, status) => {
                    *self.node(name) = None;
                    self.tell_of_end(name, status);
                }
                Happened::BringBack => self.restore().await,
            }
        }
    }

    async fn next(&mut self) -> Happened {
        let Self { a, b, bring_back, enter, .. } = self;
        tokio::select! {
            status = ended(a) => Happened::Ended(Name::A, status),
            status = ended(b) => Happened::Ended(Name::B, status),
            _ = bring_back.recv() => Happened::BringBack,
            () = pressed(enter) => Happened::BringBack,
        }
    }

    fn tell_of_end(&mut self, name: Name, status: Option<ExitStatus>) {
        say(&format!("\nNode {name} {}.", how(status)));
        let other = name.other();
        let url = self.url(other);
        say(&match self.node(other) {
            Some(_) => format!("Node {other} goes on with the same sessions: {url}"),
            None => "Both nodes are down. The sessions are in the store, and wait.".to_owned(),
        });
        let way_back = self.way_back();
        say(&way_back);
    }

    /// How somebody brings back what is down; begins to hear Enter where that is how.
    fn way_back(&mut self) -> String {
        if self.enter.is_none() && terminal::hears_enter() {
            self.enter = Some(terminal::enters());
        }
        let down = match (&self.a, &self.b) {
            (None, None) => "both nodes",
            (None, _) => "node A",
            _ => "node B",
        };
        match self.enter {
            Some(_) => format!("Press Enter to bring {down} back."),
            None => format!("To bring {down} back: kill -USR1 {}", std::process::id()),
        }
    }

    /// Starts the nodes that are down. One that cannot start now may later.
    async fn restore(&mut self) {
        for name in [Name::A, Name::B] {
            if self.node(name).is_some() {
                continue;
            }
            match Node::start(&self.settings.node(name)).await {
                Ok(node) => {
                    let (url, id) = (self.url(name), node.id());
                    *self.node(name) = Some(node);
                    say(&format!("Node {name} is back at {url}, as process {id}."));
                }
                Err(fault) => say(&format!("{fault}.")),
            }
        }
        if self.a.is_none() || self.b.is_none() {
            let way_back = self.way_back();
            say(&way_back);
        }
    }

    async fn stop(self) {
        say("\nEnding both nodes.");
        let stop = async |node: Option<Node>| {
            if let Some(node) = node {
                node.stop().await;
            }
        };
        tokio::join!(stop(self.a), stop(self.b));
        let until = if self.durable { "" } else { " until it restarts" };
        say(&format!("The sessions stay in {}{until}.", self.settings.place));
    }

    fn node(&mut self, name: Name) -> &mut Option<Node> {
        match name {
            Name::A => &mut self.a,
            Name::B => &mut self.b,
        }
    }

    fn url(&self, name: Name) -> String {
        format!("http://{}", self.settings.addr(name))
    }
}

async fn ended(node: &mut Option<Node>) -> Option<ExitStatus> {
    match node {
        Some(node) => node.ended().await,
        None => std::future::pending().await,
    }
}

/// Completes when somebody presses Enter. An input that has ended is not asked again.
async fn pressed(enter: &mut Option<mpsc::Receiver<()>>) {
    if let Some(receiver) = enter
        && receiver.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

fn how(status: Option<ExitStatus>) -> String {
    match status.map(|status| (status.signal(), status.code())) {
        Some((Some(signal), _)) => format!("was killed by signal {signal}"),
        Some((None, Some(0))) => "was asked to end, and did".to_owned(),
        Some((None, Some(code))) => format!("ended with exit code {code}"),
        _ => "has ended".to_owned(),
    }
}
