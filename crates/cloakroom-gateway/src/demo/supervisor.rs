//! The demo's own process: starts both nodes and the gateway, tells what becomes of the nodes, kills
//! them and brings them back.

use std::sync::Arc;

use cloakroom::Store;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::front::{Ask, Front, Wish};
use super::running::Running;
use super::settings::{Name, Settings};
use crate::fault::Fault;
use crate::signals;
use crate::terminal::{self, say};

/// Wishes that wait their turn; whoever has another waits, too.
const MOST_ASKS: usize = 8;

/// Runs both nodes and the gateway until somebody asks for their end.
pub(crate) async fn run(settings: Settings) -> Result<(), Fault> {
    let mut stop = signals::Stop::new()?;
    // Whoever mistypes the store's address learns it here, once, and not from two nodes.
    let store = settings.place.connect().await?;
    let started = tokio::select! {
        started = Supervisor::start(settings, store) => started?,
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

/// Both nodes, the gateway, and the ways to be asked to end a node or to bring one back.
#[derive(Debug)]
struct Supervisor {
    settings: Settings,
    /// Whether sessions outlive the store's own restart.
    durable: bool,
    /// The store, where it is this process's own memory.
    memory: Option<Arc<dyn Store>>,
    a: Option<Running>,
    b: Option<Running>,
    front: Front,
    /// Ends when its sender does.
    serving: (oneshot::Sender<()>, JoinHandle<()>),
    asks: mpsc::Receiver<Ask>,
    bring_back: Signal,
    /// Heard from the first end of a node on, where somebody can press it.
    enter: Option<mpsc::Receiver<()>>,
}

/// What a supervisor waits for.
enum Happened {
    Ended(Name, String),
    Asked(Ask),
    BringBack,
}

impl Supervisor {
    async fn start(settings: Settings, store: Arc<dyn Store>) -> Result<Self, Fault> {
        let bring_back = signals::bring_back()?;
        let durable = store.capabilities().durable;
        let memory = settings.place.is_memory().then_some(store);
        let door = Front::open(&settings)?;
        let (a, b) = (settings.node(Name::A), settings.node(Name::B));
        let start = |settings| Running::start(settings, memory.as_ref());
        let (a, b) = tokio::try_join!(start(&a), start(&b))?;
        let (asker, asks) = mpsc::channel(MOST_ASKS);
        let front = Front::new(&settings, asker)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move {
            // The sender never sends; it goes away.
            let _ = stopped.await;
        };
        let serving = (stop, tokio::spawn(front.clone().serve(door, stopped)));
        let (a, b, enter) = (Some(a), Some(b), None);
        Ok(Self { settings, durable, memory, a, b, front, serving, asks, bring_back, enter })
    }

    fn greet(&self) {
        say(match self.memory {
            None => "Cloakroom demo: one address, two nodes, one session.\n",
            Some(_) => "Cloakroom demo: one address, two nodes in one process, one session.\n",
        });
        say(&format!("  Open     {}\n", self.address()));
        for (name, node) in [(Name::A, &self.a), (Name::B, &self.b)] {
            let process = node.as_ref().and_then(Running::process);
            let process = process.map(|id| format!("   process {id}")).unwrap_or_default();
            say(&format!("  Node {name}   http://{}{process}", self.settings.addr(name)));
        }
        let how_long = match (&self.memory, self.durable) {
            (Some(_), _) => "memory: both nodes share this process, and sessions end with it",
            (None, true) => "which outlives the demo",
            (None, false) => "which forgets sessions when it restarts",
        };
        match self.memory {
            Some(_) => say(&format!("  Store    {how_long}")),
            None => say(&format!("  Store    {}, {how_long}", self.settings.place)),
        }
        say("  Users    alice / wonderland, bob / builder\n");
        say(
            "Sign in there, and kill the node that answers: by its button, or as roughly as you like.",
        );
        say("The page goes on at the other node, with the same session.\n");
        if let Some(id) = self.a.as_ref().and_then(Running::process) {
            say(&format!("  kill -9 {id}\n"));
        }
        say("Ctrl-C ends the demo.");
    }

    /// Tells what becomes of the nodes, and does what is asked, for ever.
    async fn watch(&mut self) {
        loop {
            match self.next().await {
                Happened::Ended(name, how) => self.has_ended(name, &how),
                Happened::Asked(Ask { name, wish, done }) => {
                    let carried_out = match wish {
                        Wish::Kill => {
                            self.kill(name).await;
                            Ok(())
                        }
                        Wish::BringBack => self.restore(name).await,
                    };
                    // Whoever asked may be gone.
                    let _ = done.send(carried_out);
                }
                Happened::BringBack => self.restore_all().await,
            }
        }
    }

    async fn next(&mut self) -> Happened {
        let Self { a, b, asks, bring_back, enter, .. } = self;
        tokio::select! {
            how = ended(a) => Happened::Ended(Name::A, how),
            how = ended(b) => Happened::Ended(Name::B, how),
            Some(ask) = asks.recv() => Happened::Asked(ask),
            _ = bring_back.recv() => Happened::BringBack,
            () = pressed(enter) => Happened::BringBack,
        }
    }

    fn has_ended(&mut self, name: Name, how: &str) {
        *self.node(name) = None;
        self.front.is_down(name);
        say(&format!("\nNode {name} {how}."));
        let (other, address) = (name.other(), self.address());
        say(&match self.node(other) {
            Some(_) => format!("Node {other} goes on with the same sessions: {address}"),
            None => "Both nodes are down. The sessions are in the store, and wait.".to_owned(),
        });
        let way_back = self.way_back();
        say(&way_back);
    }

    async fn kill(&mut self, name: Name) {
        if let Some(node) = self.node(name).take() {
            let how = node.kill().await;
            self.has_ended(name, &how);
        }
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
            Some(_) => format!("Press Enter to bring {down} back, or the button on the page."),
            None => format!("To bring {down} back: kill -USR1 {}", std::process::id()),
        }
    }

    /// Starts the nodes that are down. One that cannot start now may later.
    async fn restore_all(&mut self) {
        for name in [Name::A, Name::B] {
            // What stands in the way has been said.
            let _ = self.restore(name).await;
        }
        if self.a.is_none() || self.b.is_none() {
            let way_back = self.way_back();
            say(&way_back);
        }
    }

    /// Starts a node where it is down.
    async fn restore(&mut self, name: Name) -> Result<(), Fault> {
        if self.node(name).is_some() {
            return Ok(());
        }
        let started = Running::start(&self.settings.node(name), self.memory.as_ref()).await;
        let node = started.inspect_err(|fault| say(&format!("{fault}.")))?;
        let process = node.process().map(|id| format!(", as process {id}")).unwrap_or_default();
        say(&format!("Node {name} is back at http://{}{process}.", self.settings.addr(name)));
        *self.node(name) = Some(node);
        self.front.is_back(name);
        Ok(())
    }

    async fn stop(self) {
        say("\nEnding both nodes.");
        let stop = async |node: Option<Running>| {
            if let Some(node) = node {
                node.stop().await;
            }
        };
        let (told, serving) = self.serving;
        drop(told);
        // Nobody hears what buttons want any more.
        drop(self.asks);
        let _ = tokio::join!(serving, stop(self.a), stop(self.b));
        if self.memory.is_none() {
            let until = if self.durable { "" } else { " until it restarts" };
            say(&format!("The sessions stay in {}{until}.", self.settings.place));
        }
    }

    fn node(&mut self, name: Name) -> &mut Option<Running> {
        match name {
            Name::A => &mut self.a,
            Name::B => &mut self.b,
        }
    }

    /// The one address to open.
    fn address(&self) -> String {
        format!("http://{}", self.settings.front())
    }
}

async fn ended(node: &mut Option<Running>) -> String {
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
