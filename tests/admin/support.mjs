// What the tests of the admin page share: a server, a page in headless Chromium, the story's records, and the accessibility checker.
//
// JQLITE names the binary, CHROMIUM the browser. Without a browser the tests are skipped, and fail where JQLITE_NO_SKIP is set. With
// ADMIN_FILES the files of the page come from that folder and not from the binary, so that they can be worked on without building it.

import axe from "axe-core";
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { after, test as run } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { start } from "../../examples/javascript/jqlite.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const binaries = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = binaries.find((path) => path && existsSync(path));
const missing = !executablePath && "there is no Chromium here";
if (missing && process.env.JQLITE_NO_SKIP) throw new Error(`${missing}, and no test may be skipped`);

const browser = missing ? null : await chromium.launch({ executablePath });
const servers = [];
after(async () => {
  await browser?.close();
  await Promise.all(servers.map((server) => server.stop()));
});

/** A test with a server of its own and a page: `check("…", async ({ server, page }) => …)`. What the page complains of fails it. */
export function check(name, body, { words = [], context = {} } = {}) {
  run(name, { skip: missing }, async () => {
    const server = await start("--models", here("../../examples/models.json"), ...words);
    servers.push(server);
    const opened = await browser.newContext({ locale: "en-GB", timezoneId: "Europe/London", ...context });
    opened.setDefaultTimeout(15_000);
    const page = await opened.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      // Chromium tells of each answer that is an error; the page shows those.
      if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) complaints.push(message.text());
    });
    if (process.env.ADMIN_FILES) await page.route((url) => /^\/(admin\/.*)?$/.test(url.pathname), serve);
    await body({ server, page, context: opened });
    assert.deepEqual(complaints, []);
    await opened.close();
  });
}

/** Answers from the folder, with the headers that the binary sends. */
async function serve(route) {
  const name = new URL(route.request().url()).pathname.replace(/^\/(admin\/)?/, "") || "index.html";
  const media = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" }[extname(name)];
  const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  const headers = { "Content-Type": `${media}; charset=utf-8`, "Content-Security-Policy": policy };
  await route.fulfill({ headers, body: readFileSync(join(process.env.ADMIN_FILES, name)) });
}

/** Opens the page, signs in with `key`, and goes to `view` (`#/keys`), until that is there. */
export async function signIn(page, server, { key = server.key, view = "" } = {}) {
  await page.goto(`${server.url}/${view}`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  await page.locator('main:not([aria-busy]):not(:has(> [role="status"]))').waitFor();
}

/** Some records and keys to look at, among them what wants to be markup; and what they were used for. */
export async function story(server) {
  const { query } = bound(server);
  const category = await query("create", "tickets.Category", { name: "billing" });
  await query("create", "tickets.Category", { name: HOSTILE });
  const tag = await query("create", "tickets.Tag", { name: "urgent" });
  for (let number = 1; number <= 30; number += 1) {
    const status = ["open", "pending", "closed"][number % 3];
    await query("create", "tickets.Ticket", {
      title: number === 7 ? HOSTILE : `Ticket ${number}`, status, priority: number % 6, cost: `${number}.50`, category: category.id, tags: [tag.id],
    });
  }
  await query("create", "profile.Customer", { name: "Ada", email: "ada@example.org" });
  const reader = await query("create", "system.ApiKey", { name: "reader", permissions: ["tickets.*:read"] });
  await query("create", "system.ApiKey", { name: HOSTILE, permissions: ["tickets.Ticket:read"] });
  for (let number = 0; number < 5; number += 1) {
    await query("retrieve", "tickets.Ticket", { id: null, title: null }, { limit: 5 }, reader.key);
    await query("count", "profile.Customer", {}, {}, reader.key).catch(() => {}); // is refused
  }
  return { reader: reader.key };
}

function bound(server) {
  return { query: server.query.bind(server) };
}

/** What must be shown as text wherever it is stored. */
export const HOSTILE = `<script>document.title="X"</script><img src=x onerror="document.title='X'">`;

/** Asserts that the checker finds nothing on what the page shows. */
export async function accessible(page, what) {
  // Evaluated, as the policy of the page lets in no script of others.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("\n  ")}`);
  assert.deepEqual(told, [], what);
}
