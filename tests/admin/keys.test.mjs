import assert from "node:assert/strict";
import { HOSTILE, accessible, check, signIn, story } from "./support.mjs";

const KEYS = "system.ApiKey";
const secretOf = (page) => page.getByLabel("The key", { exact: true }).inputValue();
const publicId = (key) => key.split("_")[1];

/** What the server says to a request with that key: 200, or the status of its refusal. */
async function status(server, key, intent = "retrieve", namespace = "tickets.Ticket", beside = {}) {
  return server.query(intent, namespace, beside, {}, key).then(() => 200, (refused) => refused.status);
}

/** A key made behind the page's back, with its text. */
async function made(server, values) {
  return (await server.query("create", KEYS, values)).key;
}

/** Opens the page of a key. */
async function open(page, key, name) {
  await page.evaluate((hash) => { location.hash = hash; }, `#/keys/${publicId(key)}`);
  await page.getByRole("heading", { level: 2, name }).waitFor();
}

/** The names of controls, in their order. */
function names(locator) {
  return locator.evaluateAll((all) => all.map((one) => one.ariaLabel));
}

/** Waits until nothing of the page is still to come. */
async function settled(page) {
  await page.waitForFunction(() => !document.querySelector("[aria-busy]"));
}

/** Presses Tab until `locator` has the focus. */
async function tabTo(page, locator) {
  for (let pressed = 0; pressed < 200; pressed += 1) {
    await page.keyboard.press("Tab");
    if (await locator.evaluateAll((all) => all.includes(document.activeElement))) return;
  }
  assert.fail(`no way to ${locator} by Tab`);
}

/** Everywhere that a page could keep something. */
async function kept(page, context) {
  const inPage = await page.evaluate(async () => JSON.stringify([
    document.documentElement.outerHTML, [...document.querySelectorAll("input, textarea")].map((one) => one.value),
    { ...localStorage }, { ...sessionStorage }, document.cookie, history.state, location.href,
    await indexedDB.databases(), await caches.keys(),
  ]));
  return inPage + JSON.stringify(await context.storageState());
}

check("by keyboard alone: a key is made, handed out, used, and revoked, and then it is refused", async ({ server, page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(server.url);
  await page.keyboard.type(server.key);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Keys" }).waitFor();

  await tabTo(page, page.getByRole("link", { name: "Create a key" }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Create a key" }).waitFor();
  await tabTo(page, page.getByLabel("Name"));
  await page.keyboard.type("support desk");
  await tabTo(page, page.getByRole("checkbox", { name: "profile.Customer:create" }));
  await page.keyboard.press("Space");
  await tabTo(page, page.getByRole("checkbox", { name: "tickets.Ticket:read" }));
  await page.keyboard.press("Space");
  assert.equal(await page.getByLabel("As text").inputValue(), "profile.Customer:create,tickets.Ticket:read");
  await tabTo(page, page.getByLabel("When it expires"));
  await page.keyboard.press("ArrowUp");
  await tabTo(page, page.getByRole("button", { name: "Create the key" }));
  await page.keyboard.press("Enter");

  await page.getByRole("dialog", { name: "New key: support desk" }).waitFor();
  const secret = await secretOf(page);
  assert.equal(await page.evaluate(() => getSelection().toString()), secret, "it is selected, to be copied by hand");
  await tabTo(page, page.getByRole("button", { name: "Copy the key" }));
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByText("Copied.").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await tabTo(page, page.getByRole("button", { name: "Copy the object to hand out" }));
  await page.keyboard.press("Enter");
  const object = { key: secret, permissions: ["profile.Customer:create", "tickets.Ticket:read"] };
  await page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith("{"));
  assert.deepEqual(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())), object);
  await page.keyboard.press("Escape");
  assert.equal(await secretOf(page), secret, "Escape does not take away what is shown only once");
  await tabTo(page, page.getByRole("button", { name: "Done" }));
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("no longer in this page").waitFor();
  await page.getByRole("heading", { level: 2, name: "support desk" }).waitFor();
  await settled(page);
  assert.ok(!(await kept(page, context)).includes(secret.split("_")[2]));

  assert.equal(await status(server, secret), 200);
  assert.equal(await status(server, secret, "create", "profile.Customer", { name: "Ada", email: "ada@example.org" }), 200);
  assert.equal(await status(server, secret, "retrieve", "profile.Customer"), 403);
  const [key] = await server.query("retrieve", KEYS, {}, { filter: { public_id: publicId(secret) } });
  const days = (Date.parse(key.expires) - Date.parse(key.created)) / 86_400_000;
  assert.ok(days > 29.9 && days < 30.1, key.expires);

  await tabTo(page, page.getByRole("button", { name: "Revoke" }));
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Revoke: support desk" }).waitFor();
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await page.locator("dd").getByText("revoked").waitFor();
  assert.equal(await status(server, secret), 401);
  assert.equal(await page.getByRole("button", { name: "Enable" }).count(), 0);
});

check("what is ticked and what is written are one list", async ({ server, page }) => {
  await signIn(page, server, { view: "#/keys/new" });
  const box = (name) => page.getByRole("checkbox", { name, exact: true });
  const text = page.getByLabel("As text");
  await box("tickets.Ticket:read").check();
  await box("profile.Customer:create").check();
  assert.equal(await text.inputValue(), "tickets.Ticket:read,profile.Customer:create");
  // A wider one takes the place of those that it gives, which stay ticked with it.
  await box("tickets.*:read").check();
  assert.equal(await text.inputValue(), "profile.Customer:create,tickets.*:read");
  assert.ok(await box("tickets.Ticket:read").isChecked() && await box("tickets.Ticket:read").isDisabled());
  assert.ok(!await box("tickets.Ticket:*").isChecked());
  await box("tickets.*:read").uncheck();
  assert.ok(!await box("tickets.Ticket:read").isChecked());
  await text.fill("tickets.Tag:*, *.*:create");
  assert.ok(await box("tickets.Tag:delete").isDisabled() && await box("fleet.Vehicle:create").isChecked());
  assert.ok(!await box("system.ApiKey:create").isChecked(), "every model is not the server's own");
  await box("tickets.Tag:*").uncheck();
  assert.equal(await text.inputValue(), "*.*:create");
  // Nobody writes the log, so only reading it is offered.
  assert.deepEqual(await names(page.getByRole("checkbox", { name: /^system.UsageLog:/ })), ["system.UsageLog:read"]);
});

check("mistakes are told at their fields, and nothing is lost of what was typed", async ({ server, page }) => {
  await signIn(page, server, { view: "#/keys/new" });
  await page.getByLabel("Name").fill("wrong");
  await page.getByLabel("As text").fill("tickets.Ticket:rea,tickets.Tag:read");
  await page.getByLabel("When it expires").selectOption("never");
  await page.getByText("works until somebody ends it").waitFor();
  await page.getByLabel("Allowed addresses").fill("10.0.0.0/8, nowhere");
  await page.getByRole("button", { name: "Create the key" }).click();
  await page.getByText("is not a permission").waitFor();
  await page.getByText("is not a network").waitFor();
  assert.ok(await page.getByLabel("As text").evaluate((one) => one === document.activeElement));
  assert.equal(await page.getByLabel("Allowed addresses").getAttribute("aria-invalid"), "true");
  await accessible(page, "a form with mistakes");
  await page.getByLabel("As text").fill("tickets.Tag:read, tickets.Later:read");
  await page.getByLabel("When it expires").selectOption("date");
  await page.getByLabel("The last day").fill("2999-01-31");
  await page.getByLabel("Requests a minute").fill("600");
  await page.getByLabel("Allowed addresses").fill("10.0.0.0/8, 127.0.0.1");
  await page.getByRole("button", { name: "Create the key" }).click();
  await page.getByRole("dialog").getByText("There is no model tickets.Later yet.").waitFor();
  await accessible(page, "a key that is handed out");
  const secret = await secretOf(page);
  const [key] = await server.query("retrieve", KEYS, {}, { filter: { public_id: publicId(secret) } });
  assert.deepEqual(key.permissions, ["tickets.Tag:read", "tickets.Later:read"]);
  assert.deepEqual([key.rate, key.allowed_ips, key.expires.slice(0, 19)], [600, ["10.0.0.0/8", "127.0.0.1"], "2999-01-31T23:59:59"]);
});

check("a secret that is shown does not outlive its view, nor signing out", async ({ server, page, context }) => {
  await signIn(page, server, { view: "#/keys" });
  const ways = [
    () => page.goBack(),
    () => page.evaluate(() => { location.hash = "#/console"; }),
    () => page.evaluate(() => document.querySelector("#who button").click()),
  ];
  for (const leave of ways) {
    await page.evaluate(() => { location.hash = "#/keys/new"; });
    await page.getByLabel("Name").fill("left");
    await page.getByRole("button", { name: "Create the key" }).click();
    await page.getByRole("dialog").waitFor();
    const secret = await secretOf(page);
    await leave();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await settled(page);
    assert.ok(!(await kept(page, context)).includes(secret.split("_")[2]));
  }
  await page.getByLabel("API key").waitFor();
});

check("a key is changed, and only what differs is sent", async ({ server, page }) => {
  await signIn(page, server, { view: "#/keys" });
  const secret = await made(server, { name: "before", permissions: ["tickets.Ticket:read"], expires: "2999-01-31", rate: 60 });
  await open(page, secret, "before");
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByLabel("Name").fill("after");
  await page.getByRole("checkbox", { name: "tickets.Tag:read" }).check();
  await page.getByLabel("Requests a minute").fill("");
  await page.getByLabel("Allowed addresses").fill("127.0.0.0/8");
  const sent = page.waitForRequest((request) => /"update"/.test(request.postData()));
  await page.getByRole("button", { name: "Save" }).click();
  const values = { ...JSON.parse((await sent).postData()), __meta__: null };
  const changed = { name: "after", permissions: ["tickets.Ticket:read", "tickets.Tag:read"], rate: null, allowed_ips: ["127.0.0.0/8"] };
  assert.deepEqual(values, { ...changed, __meta__: null });
  await page.getByRole("heading", { level: 2, name: "after" }).waitFor();
  const [key] = await server.query("retrieve", KEYS, {}, { filter: { public_id: publicId(secret) } });
  assert.deepEqual({ ...key, ...changed, expires: "2999-01-31T00:00:00.000000Z" }, key);
  assert.equal(await status(server, secret, "retrieve", "tickets.Tag"), 200);
});

check("a rotation lets the old secret work for its overlap, which can be cut short", async ({ server, page, context }) => {
  await signIn(page, server, { view: "#/keys" });
  const first = await made(server, { name: "turning", permissions: ["tickets.Ticket:read"] });
  await open(page, first, "turning");
  async function rotate(overlap) {
    await page.getByRole("button", { name: "Rotate" }).click();
    await page.getByLabel("The old secret works on for").selectOption(overlap);
    await accessible(page, "rotating");
    await page.getByRole("dialog").getByRole("button", { name: "Rotate" }).click();
    await page.getByRole("dialog", { name: "New secret: turning" }).waitFor();
    const secret = await secretOf(page);
    await page.getByRole("button", { name: "Done" }).click();
    await page.locator("code", { hasText: publicId(secret) }).waitFor();
    assert.ok(!(await kept(page, context)).includes(secret.split("_")[2]));
    return secret;
  }
  const second = await rotate("1 day");
  assert.deepEqual([await status(server, first), await status(server, second)], [200, 200]);
  await page.getByRole("button", { name: "End the old secret" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End the old secret" }).click();
  await page.getByText("End the old secret: done.").waitFor();
  assert.deepEqual([await status(server, first), await status(server, second)], [401, 200]);
  const third = await rotate("no longer");
  assert.deepEqual([await status(server, second), await status(server, third)], [401, 200]);
});

check("a key is disabled, enabled and deleted, each after a question that can be declined", async ({ server, page }) => {
  await signIn(page, server, { view: "#/keys" });
  const secret = await made(server, { name: HOSTILE, permissions: ["tickets.Ticket:read"] });
  await open(page, secret, HOSTILE);
  const act = async (name, answer = name) => {
    await page.getByRole("button", { name }).click();
    await page.getByRole("dialog").getByText(HOSTILE).waitFor();
    await accessible(page, name);
    await page.getByRole("dialog").getByRole("button", { name: answer }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
  };
  await act("Disable", "Cancel");
  assert.equal(await status(server, secret), 200);
  await act("Disable");
  await page.locator("dd").getByText("disabled").waitFor();
  assert.equal(await status(server, secret), 401);
  await act("Enable");
  await page.getByRole("button", { name: "Disable" }).waitFor();
  assert.equal(await status(server, secret), 200);
  await act("Delete");
  await page.getByRole("search").waitFor();
  assert.equal(await status(server, secret), 401);
  assert.equal(await server.query("count", KEYS).then(({ count }) => count), 1);
  assert.equal(await page.title(), "Keys · jqlite");
});

check("the key that one is signed in with is marked, and ending it signs out", async ({ server, page }) => {
  const own = await made(server, { name: "mine", permissions: ["system.ApiKey:*"] });
  await signIn(page, server, { key: own, view: "#/keys" });
  await page.getByRole("row", { name: /^mine/ }).getByText("this key").waitFor();
  assert.equal(await page.getByText("this key").count(), 1);
  await page.getByRole("link", { name: "mine" }).click();
  for (const name of ["Disable", "Revoke", "Delete"]) {
    await page.getByRole("button", { name }).click();
    await page.getByRole("dialog").getByText("this signs you out").waitFor();
    await page.keyboard.press("Escape");
  }
  // Rotated with an overlap it is still the same key.
  await page.getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("heading", { level: 2, name: "mine" }).getByText("this key").waitFor();
  await page.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByText("this signs you out").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByLabel("API key").waitFor();
  assert.equal(await status(server, own, "count", KEYS), 401);
});

check("a key that may only read keys is offered nothing else", async ({ server, page }) => {
  const narrow = await made(server, { name: "auditor", permissions: ["system.ApiKey:read"] });
  await signIn(page, server, { key: narrow, view: "#/keys" });
  await page.getByRole("link", { name: "fixture" }).waitFor();
  await settled(page);
  assert.equal(await page.getByRole("link", { name: "Create a key" }).count(), 0);
  await page.getByRole("link", { name: "fixture" }).click();
  await page.getByRole("heading", { level: 2, name: "fixture" }).waitFor();
  await settled(page);
  const buttons = await page.getByRole("main").getByRole("button").allTextContents();
  assert.deepEqual(buttons, ["Copy the public id"]);
  assert.equal(await page.getByRole("link", { name: "Edit" }).count(), 0);
  assert.equal(await page.getByText("Use in the last 30 days").count(), 0, "it may not read the log");
  for (const hash of ["#/keys/new", `#/keys/${publicId(server.key)}/edit`]) {
    await page.evaluate((to) => { location.hash = to; }, hash);
    await page.getByText("This key may not").waitFor();
  }
  await page.evaluate(() => { location.hash = "#/keys/nothing"; });
  await page.getByText("there is no", { exact: false }).waitFor();
});

check("a key can give no more than it holds", async ({ server, page }) => {
  const expires = new Date(Date.now() + 60 * 86_400_000).toISOString();
  const own = await made(server, {
    name: "giver", permissions: ["system.ApiKey:create", "tickets.Ticket:read", "profile.*:*"], expires, rate: 600,
    allowed_ips: ["127.0.0.0/8"],
  });
  await signIn(page, server, { key: own, view: "#/keys/new" });
  await page.getByRole("heading", { name: "Create a key" }).waitFor();
  const offered = await names(page.getByRole("checkbox"));
  const every = (models) => ["create", "read", "update", "delete", "*"].map((action) => `${models}:${action}`);
  assert.deepEqual(offered, [...every("profile.*"), ...every("profile.Customer"), "tickets.Ticket:read", "system.ApiKey:create"]);
  const ends = await page.getByLabel("When it expires").locator("option").allTextContents();
  assert.deepEqual(ends, ["in 30 days", "with your own key", "on a date"]);
  assert.equal(await page.getByLabel("Requests a minute").inputValue(), "600");
  assert.equal(await page.getByLabel("Allowed addresses").inputValue(), "127.0.0.0/8");
  await page.getByLabel("Name").fill("more");
  await page.getByLabel("As text").fill("tickets.Ticket:read,tickets.Ticket:delete");
  await page.getByText("This key cannot give tickets.Ticket:delete.").waitFor();
  await page.getByRole("button", { name: "Create the key" }).click();
  await page.getByText("a key cannot give the permission tickets.Ticket:delete").waitFor();
  await page.getByLabel("As text").fill("tickets.Ticket:read");
  await page.getByRole("button", { name: "Create the key" }).click();
  await page.getByRole("dialog").waitFor();
  assert.equal(await status(server, await secretOf(page)), 200);
  // It may make keys, not see them: so the form is there for the next one.
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.waitForFunction(() => document.querySelector("textarea")?.value === "");
  const [key] = await server.query("retrieve", KEYS, {}, { filter: { name: "more" } });
  assert.deepEqual([Date.parse(key.expires), key.rate, key.allowed_ips], [Date.parse(expires), 600, ["127.0.0.0/8"]]);
});

check("the list: states, what needs attention, search, filters and pages, all in the address", async ({ server, page }) => {
  await story(server);
  const at = (days) => new Date(Date.now() + days * 86_400_000).toISOString();
  await made(server, { name: "ends soon", permissions: ["tickets.Ticket:read"], expires: at(5) });
  await made(server, { name: "wide", permissions: ["*.*:*"], expires: at(80) });
  await made(server, { name: "is over", permissions: ["tickets.Ticket:read"], expires: at(-1) });
  for (const intent of ["disable", "revoke"]) {
    const key = await made(server, { name: `${intent}d`, permissions: ["tickets.Ticket:read"] });
    await server.query(intent, KEYS, {}, { schema: "controller", uniqueObject: { public_id: publicId(key) } });
  }
  for (let number = 10; number < 40; number += 1) {
    const permissions = ["tickets.Ticket:read", "tickets.Tag:read", "tickets.Category:read", "profile.Customer:read"];
    await made(server, { name: `many ${number}`, permissions, expires: at(90) });
  }
  await signIn(page, server, { view: "#/keys?show=all&name=d" });
  const state = async (name) => page.getByRole("row", { name }).getByRole("cell").first().innerText();
  assert.match(await state("ends soon"), /^expires soon/);
  assert.match(await state("disabled"), /^disabled$/);
  assert.match(await state("revoked"), /^revoked$/);
  await page.getByLabel("Name").fill("over");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("row", { name: "is over" }).getByText("expired").waitFor();
  assert.match(page.url(), /#\/keys\?name=over&show=all$/);
  await page.getByLabel("Name").fill("");
  await page.getByLabel("Which").selectOption("usable");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("1 to 25 of").waitFor();
  assert.equal(await page.getByRole("row").count(), 26);
  await page.getByText("tickets.Ticket:read, tickets.Tag:read and 2 more").first().waitFor();
  await accessible(page, "the list");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("row", { name: HOSTILE.slice(0, 30) }).waitFor();
  assert.equal(await page.locator("main img").count(), 0);
  assert.equal(await page.title(), "Keys · jqlite");
  assert.equal(await page.getByText("is over").count() + await page.getByText("revoked", { exact: true }).count(), 0);
  await page.goBack();
  await page.getByText("1 to 25 of").waitFor();
  await page.getByRole("region", { name: "Needs attention" }).getByRole("link", { name: "expires within 14 days: 1" }).click();
  await page.getByText("1 to 1 of 1").waitFor();
  await page.getByRole("link", { name: "ends soon" }).waitFor();
  await page.getByRole("link", { name: "may do everything: 2" }).click();
  await page.getByText("1 to 2 of 2").waitFor();
  await page.getByRole("link", { name: "never expires: 3" }).click();
  await page.getByText("1 to 3 of 3").waitFor();
});

check("what a key was used for", async ({ server, page }) => {
  const { reader } = await story(server);
  const filter = { key: publicId(reader) };
  while ((await server.query("count", "system.UsageLog", {}, { filter })).count < 10); // written behind the answers
  await signIn(page, server, { view: `#/keys/${publicId(reader)}` });
  await page.getByRole("heading", { name: "Last entries" }).waitFor();
  const table = (name) => page.getByRole("table", { name, exact: true });
  const row = async (within, name) => (await within.getByRole("row", { name }).locator("td").allInnerTexts()).slice(0, 2);
  assert.deepEqual(await row(table("Namespace"), "tickets.Ticket"), ["5", "0"]);
  assert.deepEqual(await row(table("Namespace"), "profile.Customer"), ["5", "5"]);
  assert.deepEqual(await row(table("Address"), "127.0.0.1"), ["10", "5"]);
  assert.equal(await table("Last entries of the log").getByRole("row").count(), 11);
  await page.getByText("The figures as a table").click();
  const days = table("Requests by day (UTC)");
  assert.equal(await days.getByRole("row").count(), 31);
  assert.deepEqual(await days.getByRole("row").last().locator("td").allInnerTexts(), ["10", "5"]);
  await page.getByRole("link", { name: "All entries in the log" }).click();
  assert.match(page.url(), new RegExp(`#/log\\?key=${publicId(reader)}$`));
});

check("what the audit finds, with the commands that mend it", async ({ server, page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await made(server, { name: "wide", permissions: ["*.*:*"], expires: "2999-01-31" });
  await made(server, { name: HOSTILE, permissions: ["tickets.Ticket:read"] });
  const ended = await made(server, { name: "ended", permissions: ["tickets.Ticket:read"], expires: "2999-01-31" });
  await server.query("revoke", KEYS, {}, { schema: "controller", uniqueObject: { public_id: publicId(ended) } });
  assert.equal(await status(server, ended), 401);
  const filter = { key: publicId(ended), status: 401 };
  while ((await server.query("count", "system.UsageLog", {}, { filter })).count < 1); // written behind the answers
  const found = await server.query("audit", KEYS, {}, { schema: "controller" });
  for (const kind of ["wide", "ended-in-use", "never-expires"]) assert.ok(found.some((one) => one.kind === kind), kind);

  await signIn(page, server, { view: "#/keys" });
  await page.getByRole("link", { name: `Findings of the audit: ${found.length}` }).click();
  await page.getByRole("heading", { level: 1, name: "Findings" }).waitFor();
  const grave = [...new Set(found.map(({ severity }) => severity))];
  const heads = await page.getByRole("heading", { level: 2 }).allInnerTexts();
  assert.deepEqual(heads.map((text) => text.split(" ")[0]), grave);
  await page.getByRole("heading", { name: "A key that may do everything" }).waitFor();
  assert.deepEqual(await page.locator("pre").allTextContents(), found.map(({ command }) => command));
  for (const { reason } of found) await page.getByText(reason).first().waitFor();
  await page.getByRole("link", { name: HOSTILE }).waitFor();
  assert.deepEqual([await page.locator("main img").count(), await page.title()], [0, "Findings · jqlite"]);
  await page.getByRole("button", { name: "Copy the command" }).first().click();
  await page.getByText("Copied.").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), found[0].command);
  await accessible(page, "findings");
  await page.getByRole("link", { name: "ended" }).click();
  await page.getByRole("region", { name: "Findings" }).getByText(found.find(({ kind }) => kind === "ended-in-use").reason).waitFor();
});

check("the audit is offered only to a key that may ask for it", async ({ server, page }) => {
  const key = await made(server, { name: "no log", permissions: ["system.ApiKey:*", "system.Model:read"] });
  await signIn(page, server, { key, view: "#/keys" });
  await page.getByRole("link", { name: "no log" }).waitFor();
  assert.equal(await page.getByRole("link", { name: /Findings/ }).count(), 0);
  await page.evaluate(() => { location.hash = "#/findings"; });
  await page.getByText("There is no such view, or this key may not see it.").waitFor();
});

for (const context of [{ colorScheme: "dark" }, { viewport: { width: 360, height: 740 } }]) {
  check(`the views of keys can be used by all: ${JSON.stringify(context)}`, async ({ server, page }) => {
    const { reader } = await story(server);
    await signIn(page, server, { view: "#/keys" });
    await page.getByRole("table").waitFor();
    await settled(page);
    await accessible(page, "the list");
    await page.getByRole("link", { name: "Create a key" }).click();
    await page.getByLabel("Name").fill("new");
    await page.getByRole("checkbox", { name: "tickets.*:read" }).check();
    await accessible(page, "the form");
    await page.getByRole("button", { name: "Create the key" }).click();
    await page.getByRole("dialog").waitFor();
    await accessible(page, "the secret");
    await page.keyboard.press("Escape");
    await open(page, reader, "reader");
    await page.getByRole("heading", { name: "Last entries" }).waitFor();
    await settled(page);
    await accessible(page, "a key");
    await page.evaluate(() => { location.hash = "#/findings"; });
    await page.getByRole("heading", { name: "A key without an end" }).waitFor();
    await accessible(page, "findings");
    await page.goBack();
    await page.getByRole("heading", { name: "Last entries" }).waitFor();
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(beyond <= 0, "nothing but tables scrolls sideways");
  }, { context });
}
