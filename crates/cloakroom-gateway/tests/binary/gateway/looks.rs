//! How the gateway's pages look: that they fit a phone, and that everything on them can be read.
//!
//! `CLOAKROOM_PICTURES` names a directory for pictures of them all.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::browser::{PASSWORD, Pages, sign_in};
use super::support::{Gateway, browser};
use crate::webdriver::Browser;

const WIDTHS: [u64; 2] = [360, 1200];
/// How often a wrong password is typed until none is looked at.
const TRIES: u32 = 4;
/// The least contrast of text, as WCAG 2.2 has it (1.4.3).
const LEAST_CONTRAST: f64 = 4.5;

/// What of a page is wider than its window, and what text of it stands out too little.
const FAULTS: &str = "
    const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
        .getContext('2d', { willReadFrequently: true });
    const over = (colours) => {
        pen.clearRect(0, 0, 1, 1);
        for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
        return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (rgb) => {
        const [r, g, b] = rgb.map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const faults = [];
    const wide = document.documentElement.scrollWidth;
    if (wide > innerWidth) faults.push(`the page is ${wide} wide`);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.textContent.trim();
        const of = walker.currentNode.parentElement;
        if (!text || !of.checkVisibility()) continue;
        const behind = [];
        for (let at = of; at; at = at.parentElement) {
            behind.unshift(getComputedStyle(at).backgroundColor);
        }
        const ink = getComputedStyle(of).color;
        const [a, b] = [light(over(behind)), light(over([...behind, ink]))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < LEAST) faults.push(`${text}: ${contrast.toFixed(2)}`);
        const box = of.getBoundingClientRect();
        if (box.right > innerWidth + 1) faults.push(`${text}: ends at ${box.right}`);
    }
    return faults;";

/// A browser that looks at one page after the other.
struct Visitor<'g> {
    person: Browser,
    gateway: &'g Gateway,
    language: &'static str,
    /// Begins the names of its pictures.
    look: &'static str,
    pictures: Option<PathBuf>,
}

impl Visitor<'_> {
    /// Looks at the page that is shown, wide and narrow, by day and by night.
    async fn looks(&self, name: &str) {
        for (width, dark) in WIDTHS.into_iter().flat_map(|width| [(width, false), (width, true)]) {
            self.person.look(width, dark).await;
            let script = FAULTS.replace("LEAST", &LEAST_CONTRAST.to_string());
            let faults = self.person.run(&script).await;
            let scheme = if dark { "dark" } else { "light" };
            let which = format!("{}{name}-{}-{scheme}-{width}", self.look, self.language);
            assert_eq!(faults, json!([]), "{which}");
            if let Some(pictures) = &self.pictures {
                self.person.picture(width, &pictures.join(format!("{which}.png"))).await;
            }
        }
    }

    async fn goes_to(&self, path: &str) {
        self.person.visit(&self.gateway.url(path)).await;
    }
}

async fn walk(gateway: &Gateway, language: &'static str, look: &'static str) {
    let person = Browser::start_with(&[&format!("--accept-lang={language}")]).await;
    let pictures = std::env::var_os("CLOAKROOM_PICTURES").map(PathBuf::from);
    let at = Visitor { person, gateway, language, look, pictures };
    at.goes_to("/order/7").await;
    at.looks("login").await;
    sign_in(&at.person, "wrong").await;
    at.person.sees(".alert", "").await;
    at.looks("wrong").await;
    sign_in(&at.person, PASSWORD).await;
    at.person.sees("#who", "alice").await;
    for (name, path) in [
        ("me", "/.cloakroom/me"),
        ("logout", "/.cloakroom/logout"),
        ("not-found", "/.cloakroom/nothing"),
        ("denied", "/sku/7"),
        ("role", "/admin/users"),
        ("away", "/away"),
        ("path", "/a%2fb"),
    ] {
        at.goes_to(path).await;
        at.looks(name).await;
    }
    at.goes_to("/.cloakroom/logout").await;
    at.person.click("#sign-out").await;
    at.person.sees("#who", "nobody").await;
    for _ in 0..TRIES {
        at.goes_to("/.cloakroom/login").await;
        sign_in(&at.person, "wrong").await;
        at.person.sees(".alert, .code", "").await;
    }
    at.person.sees(".code", "429").await;
    at.looks("too-many").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_phone_and_can_be_read() {
    let pages = Pages::start().await;
    // Each has a gateway of its own: the tries of both would be counted together.
    let [one, other] = [gateway(&pages, "").await, gateway(&pages, "").await];
    tokio::join!(walk(&one, "en-GB", ""), walk(&other, "zh-CN", ""));
}

/// A gateway with few tries, and alice on a second device, with a name as long as they come. `more`:
/// of its login.
async fn gateway(pages: &Pages, more: &str) -> Gateway {
    let (remember, tries) = ("remember = \"30 days\"", TRIES - 1);
    let login = format!("[login]\n{remember}\nthrottle.account = {tries}\n{more}");
    let gateway = pages.behind_gateway(&login);
    let login = browser().post(gateway.url("/.cloakroom/api/login"));
    let login = login.header("user-agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1) Safari/604.1");
    let login = login.json(&json!({ "username": "alice", "password": PASSWORD }));
    assert!(login.send().await.unwrap().json::<Value>().await.is_ok());
    gateway
}

/// A colour that nobody could read as it is, a wide image, and a name as long as they come.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_theme_fits_a_phone_and_can_be_read() {
    let pages = Pages::start().await;
    let theme = tempfile::tempdir().unwrap();
    let logo = theme.path().join("logo.svg");
    let image = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 120 40'>\
                 <rect width='120' height='40' rx='8' fill='#c40'/></svg>";
    std::fs::write(&logo, image).unwrap();
    let title = "The Shop of Curious and Forgotten Umbrellas, Hats & Walking Sticks";
    let lines = format!("title = \"{title}\"\naccent = \"#fd3\"\nlogo = {logo:?}\n");
    let gateway = gateway(&pages, &lines).await;
    walk(&gateway, "en-GB", "themed-").await;
    let page = browser().get(gateway.url("/sku/7")).header("accept", "text/html");
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Forgotten Umbrellas") && page.contains("/.cloakroom/logo"), "{page}");
}
