//! A real browser, driven by the WebDriver protocol through Debian's `chromedriver`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{BOUND, lines, wait_until};

pub(crate) const CHROMIUM: &str = "/usr/bin/chromium";
/// Chromium's arguments for a machine without a screen, and for tests that run as root.
pub(crate) const ARGUMENTS: [&str; 5] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
];
/// The name under which the protocol hands out an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys, as the protocol writes them.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
/// How high a window is before anything is known of its page.
const HIGH: u64 = 800;

/// A browser with cookies of its own, and one window.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    client: Client,
    /// Where the profile is removed with the browser.
    _profile: Option<TempDir>,
}

impl Browser {
    /// Starts it. Panics where Chromium or its driver is not installed.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts it with more of Chromium's arguments.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let profile = TempDir::new().expect("a temporary directory");
        let mut browser = Self::driven().await;
        browser.open(profile.path(), arguments).await;
        browser._profile = Some(profile);
        browser
    }

    /// Starts it with a profile that outlives it.
    pub(crate) async fn start_in(profile: &Path) -> Self {
        let mut browser = Self::driven().await;
        browser.open(profile, &[]).await;
        browser
    }

    async fn driven() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Debian package chromium-driver is installed; scripts/test installs it");
        let output = lines(driver.stdout.take().expect("a pipe"));
        let port = loop {
            let line = output.recv_timeout(BOUND).expect("chromedriver says its port");
            let port = line
                .rsplit_once("successfully on port ")
                .map(|(_, port)| port.trim_end_matches('.'));
            if let Some(port) = port.and_then(|port| port.parse().ok()) {
                break port;
            }
        };
        let client = Client::builder().timeout(BOUND).build().expect("a client");
        Self { driver, port, session: String::new(), client, _profile: None }
    }

    async fn open(&mut self, profile: &Path, more: &[&str]) {
        let profile = format!("--user-data-dir={}", profile.display());
        let arguments = ARGUMENTS.into_iter().chain([profile.as_str()]);
        let arguments: Vec<&str> = arguments.chain(more.iter().copied()).collect();
        let options = json!({ "binary": CHROMIUM, "args": arguments });
        let wanted = json!({ "alwaysMatch": { "goog:chromeOptions": options } });
        let url = format!("http://127.0.0.1:{}/session", self.port);
        let made = self.client.post(url).json(&json!({ "capabilities": wanted })).send().await;
        let made: Value = made.expect("chromedriver answers").json().await.expect("JSON");
        let id = made["value"]["sessionId"].as_str();
        self.session = id.unwrap_or_else(|| panic!("no browser: {made}")).to_owned();
    }

    async fn command(&self, method: Method, path: &str, body: Value) -> Result<Value, Value> {
        let url = format!("http://127.0.0.1:{}/session/{}{path}", self.port, self.session);
        let mut request = self.client.request(method.clone(), url);
        if method == Method::POST {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("chromedriver answers");
        let fine = answer.status().is_success();
        let value = answer.json::<Value>().await.expect("JSON")["value"].take();
        if fine { Ok(value) } else { Err(value) }
    }

    async fn done(&self, path: &str, body: Value) -> Value {
        let done = self.command(Method::POST, path, body).await;
        done.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Goes to an address, and waits until the page is there.
    pub(crate) async fn visit(&self, url: &str) {
        self.done("/url", json!({ "url": url })).await;
    }

    async fn element(&self, selector: &str) -> Option<String> {
        let query = json!({ "using": "css selector", "value": selector });
        let found = self.command(Method::POST, "/element", query).await.ok()?;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    async fn existing(&self, selector: &str) -> String {
        let element = self.element(selector).await;
        element.unwrap_or_else(|| panic!("the page has no {selector}"))
    }

    /// Clicks on the first element that `selector` finds.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self.existing(selector).await;
        self.done(&format!("/element/{element}/click"), json!({})).await;
    }

    /// Types into the first element that `selector` finds.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let element = self.existing(selector).await;
        self.done(&format!("/element/{element}/value"), json!({ "text": text })).await;
    }

    /// Waits until the text of the page's first `selector` has `expected` in it.
    pub(crate) async fn sees(&self, selector: &str, expected: &str) {
        let script = "const found = document.querySelector(arguments[0]); \
                      return found ? found.textContent : null;";
        let question = json!({ "script": script, "args": [selector] });
        let begun = std::time::Instant::now();
        loop {
            let text = self.done("/execute/sync", question.clone()).await;
            if text.as_str().is_some_and(|text| text.contains(expected)) {
                return;
            }
            assert!(begun.elapsed() < BOUND, "{selector} says {text}, and not {expected:?}");
            tokio::task::yield_now().await;
        }
    }

    /// What a script, a function's body, returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.done("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    async fn asked(&self, path: &str) -> Value {
        let asked = self.command(Method::GET, path, Value::Null).await;
        asked.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The address of the page.
    pub(crate) async fn url(&self) -> String {
        self.asked("/url").await.as_str().expect("an address").to_owned()
    }

    /// Waits until the address of the page ends like this.
    pub(crate) async fn arrives(&self, end: &str) {
        let begun = std::time::Instant::now();
        loop {
            let url = self.url().await;
            if url.ends_with(end) {
                return;
            }
            assert!(begun.elapsed() < BOUND, "it is at {url}, and not at {end}");
            tokio::task::yield_now().await;
        }
    }

    /// The window that commands go to.
    pub(crate) async fn window(&self) -> String {
        self.asked("/window").await.as_str().expect("a handle").to_owned()
    }

    /// Opens another tab, and has commands go there; its name.
    pub(crate) async fn open_tab(&self) -> String {
        let made = self.done("/window/new", json!({ "type": "tab" })).await;
        let handle = made["handle"].as_str().expect("a handle").to_owned();
        self.switch_to(&handle).await;
        handle
    }

    /// Has commands go to another window.
    pub(crate) async fn switch_to(&self, window: &str) {
        self.done("/window", json!({ "handle": window })).await;
    }

    /// Presses keys, one after the other, whatever has the focus.
    pub(crate) async fn press(&self, keys: &str) {
        let press = |key: char| {
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        };
        let keys: Vec<Value> = keys.chars().flat_map(press).collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": keys });
        self.done("/actions", json!({ "actions": [keyboard] })).await;
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.done("/goog/cdp/execute", body).await;
    }

    /// Shows pages so wide, in light or dark colours, and changes between them at once.
    pub(crate) async fn look(&self, width: u64, dark: bool) {
        self.resize(width, HIGH).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    async fn resize(&self, width: u64, height: u64) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Writes a picture of the whole page, which is so wide, into a file.
    pub(crate) async fn picture(&self, width: u64, file: &Path) {
        let height = self.run("return document.documentElement.scrollHeight").await;
        self.resize(width, height.as_u64().expect("a number").max(HIGH)).await;
        let picture = self.asked("/screenshot").await;
        let picture = STANDARD.decode(picture.as_str().expect("text")).expect("base64");
        std::fs::write(file, picture).expect("a file");
        self.resize(width, HIGH).await;
    }
}

impl Drop for Browser {
    /// Has the driver end the browser first: killed alone, it would leave the browser behind.
    fn drop(&mut self) {
        let ended = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            let path = format!("/session/{}", self.session);
            let request = format!("DELETE {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            stream.set_read_timeout(Some(BOUND))?;
            stream.write_all(request.as_bytes())?;
            stream.read(&mut [0; 64])
        });
        drop(ended);
        let _ = self.driver.kill();
        wait_until("chromedriver ends", || {
            self.driver.try_wait().is_ok_and(|ended| ended.is_some())
        });
    }
}
