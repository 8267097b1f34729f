// Counts the visits of a session that any server of the farm may have begun. On every server:
//     npm install && PORT=8000 NODE=redis://127.0.0.1:6379 SECRET=... node visits.js
// beside a node with `redis { listen = "127.0.0.1:6379" }`. SECRET is the same everywhere.
const express = require("express");
const session = require("express-session");
const { RedisStore } = require("connect-redis");
const { createClient } = require("redis");

const client = createClient({ url: process.env.NODE || "redis://127.0.0.1:6379" });
client.on("error", (error) => console.error(`node: ${error.message}`));

const app = express();
app.use(session({
  store: new RedisStore({ client }),
  secret: process.env.SECRET,
  resave: false,
  saveUninitialized: false,
}));
app.get("/", (request, response) => {
  request.session.visits = (request.session.visits || 0) + 1;
  response.type("text").send(`${request.session.visits}\n`);
});

client.connect().then(() => app.listen(process.env.PORT || 8000, process.env.HOST || "127.0.0.1"));
