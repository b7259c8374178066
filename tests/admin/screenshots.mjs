// Makes the pictures of docs/admin.md: `JQLITE=target/debug/jqlite node tests/admin/screenshots.mjs`. The clock and the ids are fixed,
// so that a picture changes only where the page does.

import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { start } from "../../examples/javascript/jqlite.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const server = await start("--models", here("../../examples/models.json"), "--id-seed", "1", "--now", "2026-02-10T09:00:00Z");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
const query = server.query.bind(server);

/** A few weeks of a small help desk: its records, its keys, and what they were used for. */
async function live() {
  const now = Date.parse("2026-03-02T09:00:00Z");
  const at = (milliseconds) => server.fixture("clock", { set: new Date(now + milliseconds).toISOString() });
  await at(-20 * 24 * 3600e3);
  const names = ["Billing", "Delivery", "Returns", "Account"];
  const categories = [];
  for (const name of names) categories.push(await query("create", "tickets.Category", { name }));
  const tags = [];
  for (const name of ["urgent", "refund", "waiting"]) tags.push(await query("create", "tickets.Tag", { name }));
  const customers = [];
  for (const name of ["Ada Lovelace", "Alan Turing", "Grace Hopper", "Edsger Dijkstra"]) {
    customers.push(await query("create", "profile.Customer", { name, email: `${name.split(" ")[0].toLowerCase()}@example.org` }));
  }
  const titles = ["Charged twice for one order", "Parcel did not arrive", "Wrong colour delivered", "Cannot sign in", "Invoice without address",
    "Refund not received", "Change of address", "Broken on arrival", "Where is my order?", "Two accounts, one address"];
  for (let number = 0; number < 34; number += 1) {
    await at((number - 34) * 11 * 3600e3);
    await query("create", "tickets.Ticket", {
      title: titles[number % titles.length], status: ["open", "pending", "closed"][(number * 7) % 3], priority: (number * 5) % 6,
      cost: `${(number * 37) % 90}.50`, category: categories[number % 4].id, customer: customers[(number * 3) % 4].id, tags: [tags[number % 3].id],
    });
  }
  const key = async (name, permissions, more = {}) => (await query("create", "system.ApiKey", { name, permissions, ...more })).key;
  const shop = await key("Web shop", ["tickets.Ticket:*", "tickets.Category:read", "profile.Customer:*"], { expires: "2026-05-01T00:00:00Z" });
  const report = await key("Monthly report", ["tickets.*:read"], { expires: "2026-03-11T00:00:00Z", rate: 60 });
  await key("Old importer", ["*.*:*"]);
  for (let hour = 0; hour < 24; hour += 1) {
    for (let number = 0; number < 3 + Math.round(6 * Math.sin(hour / 4) ** 2); number += 1) {
      await at((hour - 24) * 3600e3 + number * 300e3);
      await query("retrieve", "tickets.Ticket", { id: null, title: null, category: { name: null } }, { limit: 20 }, shop);
      if (number % 3 === 0) await query("aggregate", "tickets.Ticket", { number: { function: "Count" } }, { groupBy: ["status"] }, report);
      if (number % 4 === 0) await query("count", "profile.Customer", {}, {}, report).catch(() => {}); // is refused
    }
  }
  await at(0);
}

/** What is taken: the file, where in the page, what is done there before, and how. */
const PICTURES = [
  ["keys", "#/keys"],
  ["create", "#/keys/new", async (page) => {
    await page.getByLabel("Name").fill("Nightly export");
    await page.getByLabel("tickets.*:read", { exact: true }).check();
    await page.getByLabel("profile.Customer:read", { exact: true }).check();
  }],
  ["secret", "#/keys/new", async (page) => {
    await page.getByLabel("Name").fill("Nightly export");
    await page.getByLabel("tickets.*:read", { exact: true }).check();
    await page.getByRole("button", { name: "Create the key" }).click();
    await page.getByRole("dialog").waitFor();
  }],
  ["usage", "#/usage?span=24h"],
  ["log", "#/log"],
  ["findings", "#/findings"],
  ["records", "#/records/tickets.Ticket"],
  ["record", "#/records/tickets.Ticket/3"],
  ["models", "#/models"],
  ["console", "#/console", async (page) => {
    const text = page.locator("textarea.code");
    await text.fill('{\n  "__meta__": {\n    "intent": "retrieve",\n    "namespace": "tickets.Ticket",\n    "filter": { "category__name": "Billing" }\n  },\n'
      + '  "title": null,\n  "customer": { "name": null }\n}');
    await page.keyboard.press("Control+Enter");
    await page.getByText("records.", { exact: false }).first().waitFor();
  }],
  ["dark", "#/usage?span=24h", null, { colorScheme: "dark" }],
  ["phone", "#/keys", null, { viewport: { width: 380, height: 760 } }],
];

/** Where a picture is kept. */
const file = (name) => here(`../../docs/admin/${name}.png`);

await live();
for (const [name, place, act, context = {}] of PICTURES) {
  const opened = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", viewport: { width: 1100, height: 760 }, ...context });
  const page = await opened.newPage();
  await page.clock.setFixedTime("2026-03-02T09:00:00Z");
  await page.goto(server.url);
  if (name === "keys") await page.screenshot({ path: file("sign-in") });
  await page.getByLabel("API key").fill(server.key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  await page.evaluate((hash) => { location.hash = hash; }, place);
  await page.locator("main:not([aria-busy])").waitFor();
  await act?.(page);
  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: file(name) });
  await opened.close();
}
await browser.close();
await server.stop();
