// Makes the page smoother where scripts run; without this file everything works just the same.
"use strict";

const main = () => document.getElementById("main");

// Shows another version of the page in place, and keeps the focus where it was. It may be another
// node's: all of it is replaced, and its colours are that node's.
function show(html, focused) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const icon = (of) => of.querySelector("link[rel=icon]");
  if (!page.getElementById("main")) return location.reload();
  document.documentElement.dataset.node = page.documentElement.dataset.node;
  document.body.replaceWith(page.body);
  document.title = page.title;
  icon(document).href = icon(page).getAttribute("href");
  const again = focused && document.getElementById(focused);
  (again || main()).focus({ preventScroll: true });
}

function sayGone() {
  if (document.querySelector("main > .gone")) return;
  const banner = document.getElementById("gone").content.firstElementChild.cloneNode(true);
  banner.classList.add("gone");
  main().prepend(banner);
  scrollTo({ top: 0 });
}

addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const focused = document.activeElement && document.activeElement.id;
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => (button.disabled = true));
  try {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(form.action, { method: "POST", body });
    show(await answer.text(), focused);
  } catch {
    sayGone();
  } finally {
    buttons.forEach((button) => (button.disabled = false));
  }
});

// A page that comes out of the browser's own memory may be older than the session.
addEventListener("pageshow", (event) => event.persisted && location.reload());
