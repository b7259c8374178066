// A jqlite server for the tests of one file, in one file to copy; it needs nothing but Node.
//
//   const server = await start("--models", "models.json");
//   after(() => server.stop());
//   beforeEach(() => server.fixture("reset"));
//
// `node --test` runs each file in a process of its own, so that each has its own server. The command is `jqlite`, or what
// JQLITE names.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A request that was not carried out. */
export class Refused extends Error {
  constructor(status, envelope) {
    super(`${status}: ${envelope.message}`);
    this.status = status;
    this.errors = envelope.errors;
  }
}

/** Starts a server in memory; `words` go behind `jqlite serve`. */
export async function start(...words) {
  const all = ["serve", "--ephemeral", "--with-parent", "--json", "--listen", "127.0.0.1:0", ...words];
  const child = spawn(process.env.JQLITE ?? "jqlite", all, { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise((found, failed) => {
    child.once("error", failed);
    child.once("exit", () => failed(new Error("jqlite did not start; it said why on standard error")));
    createInterface({ input: child.stdout }).once("line", found); // it comes once requests are accepted
  });
  child.removeAllListeners("exit");
  return new Server(child, JSON.parse(line));
}

class Server {
  constructor(child, { url, key }) {
    Object.assign(this, { child, url, key });
  }

  /** Sends a request, and gives its envelope, or throws `Refused`. */
  async send(request, key = this.key) {
    const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
    const answer = await fetch(`${this.url}/jql`, { method: "POST", headers, body: JSON.stringify(request) });
    const envelope = await answer.json();
    if (!answer.ok) throw new Refused(answer.status, envelope);
    return envelope;
  }

  /** The `data` of a request: `query("create", "tickets.Tag", { name: "urgent" })`. */
  async query(intent, namespace, beside = {}, meta = {}, key = this.key) {
    return (await this.send({ __meta__: { intent, namespace, ...meta }, ...beside }, key)).data;
  }

  /** `reset`, `snapshot`, `restore` or `clock`: `fixture("clock", { advance: "90d" })`. */
  fixture(intent, args = {}) {
    return this.query(intent, "system.Fixture", args, { schema: "controller" });
  }

  /** Ends it; it has nothing to save. */
  stop() {
    const ended = new Promise((done) => this.child.once("exit", done));
    this.child.kill("SIGKILL");
    return ended;
  }
}
