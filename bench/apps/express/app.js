// Express with express-session over connect-redis, as the README of connect-redis sets it up.
"use strict";

const { parseArgs } = require("node:util");
const express = require("express");
const session = require("express-session");
const { RedisStore } = require("connect-redis");
const { createClient } = require("redis");

const IDLE_MS = 30 * 60 * 1000;
const NAME = "Ada Lovelace";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "3000" },
    redis: { type: "string", default: "redis://127.0.0.1" },
  },
});

let last = 0;

function seed(request, response) {
  Object.assign(request.session, {
    user_id: 8731204,
    name: NAME,
    roles: ["customer", "reviewer"],
    cart: [
      { sku: "BK-20417", title: "The Analytical Engine, first edition", quantity: 1, cents: 3499 },
      { sku: "BK-11830", title: "Notes on Bernoulli Numbers, annotated", quantity: 2, cents: 1850 },
      { sku: "ST-00092", title: "Punched cards, brass-bound, box of 500", quantity: 3, cents: 1275 },
      { sku: "ST-00101", title: "Fountain pen, black, gold nib", quantity: 1, cents: 8900 },
    ],
    csrf: "3vKx0hJ5mQeZr8TtYw1nUaLc6bDfGiPoSkNlMzXvBqR",
  });
  response.type("text").send("seeded");
}

function read(request, response) {
  const { name } = request.session;
  if (name === undefined) return response.sendStatus(404);
  response.type("text").send(name);
}

// What a proxy asks about every request: whether it may pass, and whose it is.
function auth(request, response) {
  const { user_id: user } = request.session;
  if (user === undefined) return response.sendStatus(401);
  response.set("X-User-Id", String(user)).end();
}

function write(request, response) {
  request.session.step = ++last;
  response.type("text").send("written");
}

function login(request, response, next) {
  request.session.regenerate((error) => {
    if (error) return next(error);
    request.session.principal = `user-${++last}`;
    response.type("text").send("signed in");
  });
}

function contended(request, response) {
  request.session.counter = (request.session.counter ?? 0) + 1;
  response.type("text").send("counted");
}

function counter(request, response) {
  response.type("text").send(String(request.session.counter ?? 0));
}

async function main() {
  const client = createClient({ url: options.redis });
  client.on("error", console.error);
  await client.connect();

  const app = express();
  app.get("/none", (_request, response) => response.type("text").send(NAME));
  app.use(
    session({
      store: new RedisStore({ client }),
      secret: "a secret of this benchmark alone",
      resave: false, // the store has touch()
      saveUninitialized: false,
      cookie: { maxAge: IDLE_MS },
    }),
  );
  app.get("/unused", (_request, response) => response.type("text").send(NAME));
  app.get("/seed", seed);
  app.get("/read", read);
  app.get("/auth", auth);
  app.get("/write", write);
  app.get("/login", login);
  app.get("/contended", contended);
  app.get("/counter", counter);
  app.listen(Number(options.port), "127.0.0.1");
}

main();
