import assert from "node:assert/strict";
import { accessible, check, HOSTILE, signIn, story } from "./support.mjs";

const LOG = "system.UsageLog";

/**
 * The story's traffic, and that of a key whose name wants to be markup. Gives the moments between which it lies, the entries that it
 * left, the oldest first, and the keys. By the time that it ends, all of it is in the log.
 */
async function traffic(server) {
  let sent = 0;
  const send = server.send;
  server.send = (...all) => {
    sent += 1;
    return send.apply(server, all);
  };
  const from = new Date(Date.now() - 1).toISOString();
  const { reader } = await story(server);
  const hostile = await server.query("create", "system.ApiKey", { name: HOSTILE, permissions: ["tickets.Ticket:read"] });
  await server.query("retrieve", "tickets.Ticket", { title: null }, { limit: 1 }, hostile.key);
  await server.query(HOSTILE, HOSTILE).catch(() => {}); // neither is kept
  await server.query("count", "tickets.Tag", {}, {}, "jql_nonsense").catch(() => {});
  server.send = send;
  const to = await afterwards();
  const within = { at__gte: from, at__lt: to };
  await logged(server, within, sent);
  const entries = await server.query("retrieve", LOG, {}, { filter: within, ordering: ["at"], limit: 1000 });
  return { from, to, within, entries, reader, span: `from=${from}&to=${to}` };
}

/** A moment after all that was sent, and before all that will be. */
async function afterwards() {
  const to = Date.now() + 1;
  while (Date.now() < to) await new Promise(setImmediate);
  return new Date(to).toISOString();
}

/** Asks until that many entries are in the log, as they are written behind the answers. */
async function logged(server, filter, number) {
  let found;
  do {
    found = (await server.query("count", LOG, {}, { filter })).count;
  } while (found < number);
  assert.equal(found, number);
}

/** Signs in and waits for what a view shows. */
async function open(page, server, { view, ...more }) {
  await signIn(page, server, { view, ...more });
  await page.getByRole("heading", { name: view.startsWith("#/log") ? "Log" : "Usage", exact: true }).waitFor();
}

const idOf = (key) => key.slice(4, 16);
const LATENCY = Object.fromEntries([50, 95, 99].map((each) =>
  [`p${each}`, { function: "Percentile", onField: "duration_us", value: each / 100 }]));
const ms = (duration) =>
  (duration == null ? "" : (duration / 1000).toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 }));
const asHeld = ({ status }) => status >= 400;

/** The totals of the entries that match, as the server tells them. */
async function totals(server, filter, more = {}) {
  const [data] = await server.query("aggregate", LOG, { requests: { function: "Count" }, ...LATENCY, ...more }, { filter });
  return data;
}

/** The figures on top, by their names. */
function figures(page) {
  return page.locator(".figures > div").evaluateAll((all) =>
    Object.fromEntries(all.map((one) => [one.querySelector("dt").textContent, Number(one.querySelector("data").value)])));
}

/** The rows of a table, as lists of texts; a time is its moment. */
function rows(table) {
  return table.locator("tbody tr").evaluateAll((all) => all.map((row) =>
    [...row.cells].map((cell) => cell.querySelector("time")?.dateTime ?? cell.textContent)));
}

/** The figures under a chart. */
async function charted(page, title) {
  const chart = page.getByRole("figure", { name: title });
  if (await chart.getByRole("table").isHidden()) await chart.getByText("The figures as a table").click();
  return rows(chart.getByRole("table"));
}

async function everywhere(page, what) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 360]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await accessible(page, `${what}, ${colorScheme}, ${width} wide`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wide, 0, `${what} does not scroll sideways as a whole, ${width} wide`);
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

check("the figures, the charts and the tables of the usage are those of the log", async ({ server, page }) => {
  const { from, to, within, entries, span, reader } = await traffic(server);
  await open(page, server, { view: `#/usage?${span}` });
  const sum = (onField) => ({ function: "Sum", onField });
  const told = await totals(server, within, { given: sum("rows"), sent: sum("response_bytes") });
  const refused = entries.filter(({ status }) => status >= 400 && status < 500).length;
  assert.ok(refused >= 7 && told.requests === entries.length);
  assert.deepEqual(await figures(page), {
    Requests: told.requests, "Refused (4xx)": refused, "Failed (5xx)": 0, "Share refused": refused / told.requests,
    "p50, ms": told.p50, "p95, ms": told.p95, "p99, ms": told.p99, "Rows given": told.given, Sent: told.sent,
  });

  const requests = await charted(page, "Requests");
  const latency = await charted(page, "Latency in milliseconds");
  assert.deepEqual(requests.map(([at]) => at), latency.map(([at]) => at));
  for (const [place, [at, all, bad]] of requests.entries()) {
    const filter = { at__gte: at > from ? at : from, at__lt: requests[place + 1]?.[0] ?? to };
    const inIt = entries.filter((entry) => entry.at >= filter.at__gte && entry.at < filter.at__lt);
    assert.deepEqual([all, bad], [String(inIt.length), String(inIt.filter(asHeld).length)]);
    const { p50, p95, p99 } = await totals(server, filter);
    assert.deepEqual(latency[place].slice(1), [p50, p95, p99].map(ms));
  }

  const table = (name) => page.getByRole("table", { name, exact: true });
  const top = async (field, filter = within) => (await server.query("aggregate", LOG, {
    requests: { function: "Count" }, refused: { function: "Count", filter: { status__range: [400, 499] } }, p95: LATENCY.p95,
  }, { filter, groupBy: field, ordering: ["-requests", ...field] })).map((row) => ({ ...row, p95: ms(row.p95) }));
  const plain = (row, field) => [row[field] ?? "none", String(row.requests), String(row.refused), row.p95];
  for (const [name, field] of [["Namespaces", "namespace"], ["Intents", "intent"], ["Addresses", "remote_addr"]]) {
    assert.deepEqual(await rows(table(name)), (await top([field])).map((row) => plain(row, field)));
  }
  const names = { [idOf(reader)]: "reader", [idOf(server.key)]: "fixture", null: "no known key" };
  assert.deepEqual(await rows(table("Keys")),
    (await top(["key"])).map((row) => plain({ ...row, key: names[row.key] ?? HOSTILE }, "key")));
  assert.equal(await page.getByRole("link", { name: "reader", exact: true }).getAttribute("href"), `#/keys/${idOf(reader)}`);
  const errors = await top(["code", "status"], { ...within, code__isnull: false });
  assert.deepEqual((await rows(table("Errors"))).map(([code, status, ...rest]) => [code, Number.parseInt(status, 10), ...rest]),
    errors.map((row) => [row.code, row.status, String(row.requests), row.p95]));

  await everywhere(page, "usage");
  assert.equal(await page.title(), "Usage · jqlite");
  assert.equal(await page.locator("main img").count(), 0);

  await table("Namespaces").getByRole("link", { name: "5 refused in the log: profile.Customer" }).click();
  await page.getByText("5 of 5 entries.").waitFor();
  await page.goBack();
  await table("Errors").getByRole("link", { name: /requests in the log: JQL:AuthorizationException/ }).click();
  await page.getByText("5 of 5 entries.").waitFor();
  assert.deepEqual(new Set((await rows(page.getByRole("table"))).map((row) => row[1])), new Set(["403 refused"]));
});

check("the usage follows the span, by keyboard too", async ({ server, page }) => {
  await traffic(server);
  await open(page, server, { view: "#/usage" });
  const spans = page.getByRole("navigation", { name: "Time span" });
  assert.equal(await spans.getByRole("link", { name: "24 hours" }).getAttribute("aria-current"), "true");
  for (const [name, words, most, least] of [["15m", "15 minutes", 16, 15], ["30d", "30 days", 31, 30]]) {
    await spans.getByRole("link", { name: words }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Usage" }).and(page.locator(":focus")).waitFor();
    await spans.locator('[aria-current="true"]').getByText(words).waitFor();
    assert.equal(new URL(page.url()).hash, `#/usage?span=${name}`);
    const requests = await charted(page, "Requests");
    assert.ok(requests.length <= most && requests.length >= least, `${requests.length} buckets`);
    const all = requests.reduce((sum, [, number]) => sum + Number(number), 0);
    assert.equal((await figures(page)).Requests, all);
  }
  await page.getByText("Between two moments").click();
  await page.getByLabel("From").fill("2026-01-01T10:00:00");
  await page.getByLabel("To", { exact: true }).fill("2026-01-02T10:00:00");
  await page.keyboard.press("Enter");
  await page.getByText("From 1 Jan 2026, 10:00 to 2 Jan 2026, 10:00").waitFor();
  assert.equal((await figures(page)).Requests, 0);
  await everywhere(page, "usage of nothing");
  await page.goto(`${server.url}/#/usage?span=soon`);
  await page.getByRole("alert").getByText("there is no span “soon”").waitFor();
  await accessible(page, "usage of no span");
});

for (const [timezoneId, from, to] of [
  ["Asia/Kolkata", "2026-03-10T06:00:00Z", "2026-04-08T06:00:00Z"],
  ["America/New_York", "2026-02-25T12:00:00Z", "2026-03-25T12:00:00Z"],
  ["Europe/London", "2026-03-10T06:00:00Z", "2026-04-08T06:00:00Z"],
]) {
  check(`days are those of ${timezoneId}, also where the clock is changed`, async ({ server, page }) => {
    // Requests late and early in the days, as the log has them.
    const moments = [];
    for (let at = Date.parse(from) + 1; at < Date.parse(to); at += 7 * 3_600_000 + 1_234_567) moments.push(new Date(at).toISOString());
    for (const freeze of moments) {
      await server.fixture("clock", { freeze });
      await server.query("count", "tickets.Tag");
    }
    const filter = { at__gte: from, at__lt: to, namespace: "tickets.Tag" };
    await logged(server, filter, moments.length);
    await open(page, server, { view: `#/usage?from=${from}&to=${to}&namespace=tickets.Tag` });
    const requests = await charted(page, "Requests");
    const hours = await page.evaluate((starts) => starts.map((start) => new Date(start).toTimeString().slice(0, 5)),
      requests.map(([at]) => at));
    assert.deepEqual(new Set(hours), new Set(["00:00"]));
    const expected = requests.map(([at], place) => moments.filter((each) =>
      Date.parse(each) >= Date.parse(at) && Date.parse(each) < Date.parse(requests[place + 1]?.[0] ?? to)).length);
    assert.deepEqual(requests.map(([, number]) => Number(number)), expected);
    assert.equal((await figures(page)).Requests, moments.length);
  }, { words: ["--now", from], context: { timezoneId } });
}

check("the usage is kept fresh while it is seen, with or without the page's own key", async ({ server, page }) => {
  const { entries } = await traffic(server);
  await page.clock.install();
  await open(page, server, { view: "#/usage?span=1h" });
  await page.clock.pauseAt(Date.now() + 60_000);
  let asked = 0;
  page.on("request", (request) => { asked += request.url().endsWith("/jql") && request.postData().includes("aggregate"); });
  /** Does something that has the page ask, and waits for what it then shows. */
  const asks = async (act) => {
    await Promise.all([page.waitForResponse((response) => response.url().endsWith("/jql")), act()]);
    await page.locator('main [aria-busy="true"]').waitFor({ state: "detached" });
  };
  const asksNothing = async (act) => {
    const before = asked;
    await act();
    await page.clock.runFor(30_000);
    assert.equal(asked, before);
  };
  const see = (isHidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
  const fresh = page.getByLabel("Keep fresh");
  await asks(() => fresh.check());
  await asks(() => page.clock.runFor(10_000));
  await asks(() => page.clock.runFor(10_000));
  assert.equal(asked, 3);
  await asksNothing(() => see(true));
  await asks(() => see(false));
  await asksNothing(() => fresh.uncheck());

  const before = (await figures(page)).Requests;
  const without = page.getByLabel("Leave out my own requests");
  await without.focus();
  await asks(() => page.keyboard.press("Space"));
  const others = entries.filter(({ key }) => key !== idOf(server.key)).length;
  assert.equal((await figures(page)).Requests, others);
  assert.ok(others < before);
  assert.match(page.url(), /without=own/);
  assert.equal(await without.evaluate((box) => box === document.activeElement), true);

  await asks(() => fresh.check());
  await page.getByRole("link", { name: "Log", exact: true }).click();
  await page.getByRole("heading", { name: "Log" }).waitFor();
  await asksNothing(() => {});
});

check("the log is filtered, and what it shows is what the server has", async ({ server, page }) => {
  const { within, span, reader } = await traffic(server);
  await open(page, server, { view: `#/log?${span}` });
  const shown = async () => (await rows(page.getByRole("table"))).map(([, status, namespace, intent, , duration]) =>
    [Number.parseInt(status, 10), namespace, intent, duration]);
  const newest = (filter) => server.query("retrieve", LOG, {}, { filter: { ...within, ...filter }, ordering: "-at", limit: 50 });
  const has = async (filter) => (await newest(filter)).map((row) => 
    [row.status, row.namespace ?? "–", row.intent ?? "–", ms(row.duration_us)]);
  assert.deepEqual(await shown(), await has({}));

  // By keyboard alone.
  await page.getByText("Filter", { exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.type("403");
  await page.keyboard.press("Enter");
  await page.getByText("5 of 5 entries.").waitFor();
  assert.deepEqual(await shown(), await has({ status: 403 }));
  await page.getByLabel("Status", { exact: true }).fill("soon");
  await page.keyboard.press("Enter");
  assert.equal(await page.getByLabel("Status", { exact: true }).evaluate((input) => input.validity.patternMismatch), true);

  const slow = (await server.query("aggregate", LOG, { p50: LATENCY.p50 }, { filter: within }))[0].p50 / 1000;
  const some = (await server.query("retrieve", LOG, {}, { filter: within, limit: 1, ordering: "at" }))[0];
  for (const [query, filter] of [
    [{ status: "4xx" }, { status__range: [400, 499] }], [{ status: "5xx" }, { status__gte: 500 }],
    [{ status: "refused" }, { status__gte: 400 }], [{ status: "401" }, { code: "JQL:AuthenticationException" }],
    [{ key: idOf(reader) }, { key: idOf(reader) }], [{ key: "none" }, { key: null }],
    [{ key: idOf(reader), status: "refused" }, { key: idOf(reader), status: 403 }],
    [{ namespace: "tickets.Ticket" }, { namespace: "tickets.Ticket" }], [{ intent: "count" }, { intent: "count" }],
    [{ code: "JQL:AuthenticationException" }, { status: 401 }], [{ request_id: some.request_id }, { id: some.id }],
    [{ address: "127.0.0.1" }, {}], [{ address: "127.0.0.2" }, { id: 0 }],
    [{ slower: slow }, { duration_us__gt: Math.round(slow * 1000) }],
  ]) {
    await page.goto(`${server.url}/#/log?${span}&${new URLSearchParams(query)}`);
    const { count } = await server.query("count", LOG, {}, { filter: { ...within, ...filter } });
    await page.getByRole("list", { name: "Only these entries" }).getByText(Object.values(query).at(-1)).waitFor();
    await page.getByText(`of ${count} entries.`).waitFor();
    if (count) assert.deepEqual(await shown(), await has(filter));
    else await page.getByText("No such entry in this time.").waitFor();
  }

  await page.goto(`${server.url}/#/log?${span}&request_id=${some.request_id}`);
  await page.getByText("1 of 1 entries.").waitFor();
  await everywhere(page, "log");
  await page.getByRole("table").getByRole("button").press("Enter");
  const entry = page.getByRole("dialog", { name: "An entry of the log" });
  assert.deepEqual(await entry.locator("dt").allTextContents(), Object.keys(some));
  for (const field of ["at", "request_id", "namespace", "intent", "action", "remote_addr", "key"]) {
    await entry.getByText(some[field]).first().waitFor();
  }
  await everywhere(page, "an entry");
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("table").getByRole("button").evaluate((button) => button === document.activeElement), true);
});

check("the log is paged by cursors", async ({ server, page }) => {
  const { within, span } = await traffic(server);
  for (let number = 0; number < 70; number += 1) await server.query("count", "tickets.Tag");
  const to = await afterwards();
  const filter = { ...within, at__lt: to };
  const { count } = await server.query("count", LOG, {}, { filter: within });
  await logged(server, { ...filter, namespace: "tickets.Tag", intent: "count", status: 200 }, 70);
  const all = (await server.query("retrieve", LOG, {}, { filter, ordering: "-at", limit: 1000 }));
  assert.ok(all.length >= count + 70);
  await open(page, server, { view: `#/log?${span.replace(/to=.*/, `to=${to}`)}` });
  const found = [];
  const pages = page.getByRole("navigation", { name: "Pages" });
  for (;;) {
    found.push(...await rows(page.getByRole("table")));
    if (await pages.getByRole("button", { name: "Older" }).isDisabled()) break;
    await pages.getByRole("button", { name: "Older" }).click();
    await page.getByRole("heading", { name: "Log" }).and(page.locator(":focus")).waitFor();
  }
  assert.deepEqual(found.map(([, , namespace, , , duration]) => [namespace, duration]),
    all.map((row) => [row.namespace ?? "–", ms(row.duration_us)]));
  await pages.getByRole("button", { name: "Newest" }).click();
  await page.waitForURL((url) => !url.hash.includes("after"));
  await page.goto(`${server.url}/#/log?after=nonsense`);
  await page.getByRole("alert").getByText("is not a cursor").waitFor();
  await accessible(page, "log with a mistake");
});

check("the log is followed live: what comes in is on top, and told of now and then", async ({ server, page }) => {
  const { reader } = await traffic(server);
  await page.clock.install();
  await open(page, server, { view: "#/log?namespace=tickets.Tag&intent=count" });
  await page.clock.pauseAt(Date.now() + 60_000);
  await page.evaluate(() => {
    window.told = [];
    new MutationObserver(([{ target }]) => target.textContent && window.told.push([target.textContent, Date.now()]))
      .observe(document.getElementById("said"), { childList: true });
  });
  const told = () => page.evaluate(() => window.told);
  const list = () => rows(page.getByRole("table"));
  /** Lets time pass until it is so. */
  const until = async (isSo) => {
    while (!await isSo()) await page.clock.runFor(2000);
  };
  await page.getByLabel("Live").focus();
  await page.keyboard.press("Space");
  const before = (await list()).length;
  for (let number = 1; number <= 5; number += 1) {
    await server.query("count", "tickets.Tag", {}, {}, reader);
    await until(async () => (await list()).length === before + number);
    assert.deepEqual((await list())[0].slice(1, 5), ["200 ok", "tickets.Tag", "count", "reader"]);
  }
  await until(async () => (await told()).reduce((sum, [text]) => sum + Number.parseInt(text, 10), 0) === 5);
  const times = await told();
  assert.equal(times[0][0], "1 new entry.");
  assert.ok(times.every(([, at], place) => !place || at - times[place - 1][1] >= 10_000), "not each of them");

  for (let number = 0; number < 510; number += 1) await server.query("count", "tickets.Tag", {}, {}, reader);
  await logged(server, { namespace: "tickets.Tag", intent: "count" }, before + 515);
  await until(() => page.getByText("500 entries are shown.").isVisible());
  assert.equal((await list()).length, 500);
  await page.clock.resume(); // the checker waits for time to pass
  await accessible(page, "live log");

  await page.getByRole("link", { name: "Usage", exact: true }).click();
  await page.getByRole("heading", { name: "Usage" }).waitFor();
  let asked = 0;
  page.on("request", () => { asked += 1; });
  await page.clock.runFor(30_000);
  assert.equal(asked, 0);
});

check("what wants to be markup is text, in the log and in the address", async ({ server, page }) => {
  const { entries } = await traffic(server);
  assert.ok(!JSON.stringify(entries).includes("<"), "nothing of what was sent as namespace and intent is kept");
  // Should a file hold it nevertheless, the page shows it as it is.
  const fields = ["namespace", "intent", "action", "code", "remote_addr", "request_id", "key"];
  await page.route("**/jql", async (route) => {
    const response = await route.fetch();
    const answer = await response.json();
    const isLog = route.request().postData().includes('"retrieve","namespace":"system.UsageLog"');
    if (isLog) answer.data[1].data.forEach((row) => fields.forEach((field) => { row[field] = HOSTILE; }));
    await route.fulfill({ response, json: answer });
  });
  await open(page, server, { view: "#/log" });
  await page.getByRole("cell", { name: HOSTILE }).first().waitFor();
  await page.getByRole("table").getByRole("button").first().click();
  const entry = page.getByRole("dialog", { name: "An entry of the log" });
  assert.equal(await entry.locator("dd").filter({ hasText: HOSTILE }).count(), fields.length);
  await page.keyboard.press("Escape");
  await page.goto(`${server.url}/#/log?${new URLSearchParams({ code: HOSTILE, without: "own" })}`);
  await page.getByRole("list", { name: "Only these entries" }).getByText(HOSTILE).waitFor();
  assert.equal(await page.getByLabel("Error", { exact: true }).inputValue(), HOSTILE);
  assert.equal(await page.title(), "Log · jqlite");
  assert.equal(await page.locator("img").count(), 0);
});

check("a key that may not read the log is offered neither", async ({ server, page }) => {
  const { reader } = await traffic(server);
  await signIn(page, server, { key: reader });
  const views = page.getByRole("navigation", { name: "Views" });
  assert.equal(await views.getByRole("link", { name: "Usage" }).count(), 0);
  assert.equal(await views.getByRole("link", { name: "Log" }).count(), 0);
  const { key } = await server.query("create", "system.ApiKey", { name: "watcher", permissions: ["system.UsageLog:read"] });
  await page.getByRole("button", { name: "Sign out" }).click();
  await open(page, server, { key, view: "#/usage" });
  // Names of keys are not for it to read.
  await page.getByRole("table", { name: "Keys" }).getByText(idOf(reader)).waitFor();
});
