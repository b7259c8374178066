import assert from "node:assert/strict";
import { accessible, check, HOSTILE, signIn, story } from "./support.mjs";

const TICKETS = "#/records/tickets.Ticket";

check("filter, order and search give what the server gives", async ({ server, page }) => {
  await story(server);
  await signIn(page, server, { view: TICKETS });
  await page.getByText("30 records").waitFor();
  await accessible(page, "list");
  await same({ server, page }, {});

  await page.getByText("Filter", { exact: true }).click();
  await condition(page, 1, "status", "in", "open, pending");
  await page.getByRole("button", { name: "Add a condition" }).click();
  await condition(page, 2, "category__name", "icontains", "BILL");
  await page.getByRole("button", { name: "Add a condition" }).click();
  await condition(page, 3, "created__year", "gte", "2020");
  await page.getByRole("button", { name: "Apply" }).click();
  const filter = { status__in: ["open", "pending"], category__name__icontains: "BILL", created__year__gte: 2020 };
  await page.getByText("20 records").first().waitFor();
  await same({ server, page }, { filter });
  await accessible(page, "filter");

  await page.getByRole("button", { name: "priority" }).click();
  await page.locator("th[aria-sort=ascending]", { hasText: "priority" }).waitFor();
  await same({ server, page }, { filter, ordering: ["priority"] });
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "priority ↑");
  await page.getByRole("button", { name: "priority" }).click();
  await page.locator("th[aria-sort=descending]", { hasText: "priority" }).waitFor();
  await same({ server, page }, { filter, ordering: ["-priority"] });

  const search = { value: "ticket 2" };
  await page.getByRole("searchbox", { name: "Search in title, description" }).fill(search.value);
  await page.keyboard.press("Enter");
  const found = (await server.query("count", "tickets.Ticket", {}, { filter, search })).count;
  await page.getByText(`${found} records`).first().waitFor();
  await same({ server, page }, { filter, search, ordering: ["-priority"] });

  // The address holds all of it: the step back, and a link that is opened in another tab.
  const link = new URL(page.url()).hash;
  await page.goBack();
  await page.getByText("20 records").first().waitFor();
  await same({ server, page }, { filter, ordering: ["-priority"] });
  await page.reload();
  await signIn(page, server, { view: link });
  await page.getByText(`${found} records`).waitFor();
  await same({ server, page }, { filter, search, ordering: ["-priority"] });
  assert.equal(await page.getByLabel("Field of condition 2").inputValue(), "category__name");
});

check("a filter is also written as JSON, and what the server says of it is shown", async ({ server, page }) => {
  await story(server);
  await signIn(page, server, { view: TICKETS });
  await page.getByText("Filter", { exact: true }).click();
  await page.getByText("As JSON", { exact: true }).click();
  const json = page.getByLabel("The filter as JSON");
  await condition(page, 1, "priority", "gte", "4");
  assert.deepEqual(JSON.parse(await json.inputValue()), { priority__gte: "4" });
  const filter = { __or__: [{ priority: 5 }, { __not__: { status: "open" } }] };
  await json.fill(JSON.stringify(filter));
  await page.getByRole("button", { name: "Apply" }).click();
  const { count } = await server.query("count", "tickets.Ticket", {}, { filter });
  await page.getByText(`${count} records`).first().waitFor();
  await same({ server, page }, { filter });
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Apply");
  await json.fill("{");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByText("This is not JSON").waitFor();
  await accessible(page, "a filter that is not JSON");
  await json.fill(`{"prioritty": 1}`);
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByText(`did you mean "priority"?`).waitFor();
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByText("30 records").first().waitFor();
});

check("pages follow each other without a gap", async ({ server, page }) => {
  await server.query("createMany", "tickets.Tag", {}, { objects: Array.from({ length: 120 }, (_, number) => ({ name: `tag ${number}` })) });
  await signIn(page, server, { view: "#/records/tickets.Tag" });
  const seen = [];
  for (const words of ["1 to 50 of 120", "51 to 100 of 120", "101 to 120 of 120"]) {
    await page.getByText(words).waitFor();
    seen.push(...await ids(page));
    if (seen.length < 120) await page.getByRole("button", { name: "Next" }).click();
  }
  const all = await server.query("retrieve", "tickets.Tag", { id: null }, { limit: 200 });
  assert.deepEqual(seen, all.map(({ id }) => String(id)));
  await page.getByRole("button", { name: "Previous" }).click();
  await page.getByText("51 to 100 of 120").waitFor();
  assert.match(page.url(), /page=2/);
});

check("of very many records no more are counted than it takes to say that they are many", async ({ server, page }) => {
  const tags = (from, many) => ({ objects: Array.from({ length: many }, (_, number) => ({ name: `tag ${from + number}` })) });
  await server.query("createMany", "tickets.Tag", {}, tags(0, 10_000));
  await server.query("createMany", "tickets.Tag", {}, tags(10_000, 10));
  await signIn(page, server, { view: "#/records/tickets.Tag?page=200" });
  await page.getByText("10,000 records or more").waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("10,001 to 10,010").waitFor();
  assert.ok(await page.getByRole("button", { name: "Next" }).isDisabled());
});

check("what is changed is saved, and nothing else", async ({ server, page }) => {
  await story(server);
  const before = await record(server, 3);
  await signIn(page, server, { view: `${TICKETS}/3` });
  await page.getByText("billing").waitFor();
  await accessible(page, "record");
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByLabel("title", { exact: true }).fill("Another title");
  await page.getByLabel("status").selectOption("closed");
  await page.getByLabel("description", { exact: true }).fill("");
  await page.getByLabel("description: no value (null)").uncheck();
  await page.getByLabel("cost: no value (null)").check();
  await accessible(page, "form");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("tickets.Ticket 3 is saved.").waitFor();
  await page.getByRole("heading", { name: "tickets.Ticket 3: Another title" }).waitFor();
  const after = await record(server, 3);
  const changed = { title: "Another title", status: "closed", description: "", cost: null };
  assert.deepEqual(after, { ...before, ...changed, updated: after.updated });
  assert.equal(await page.getByText("empty text").count(), 1);
});

check("what the server says no to is said at each field, all at once", async ({ server, page }) => {
  await signIn(page, server, { view: "#/records/fleet.Vehicle/new" });
  await page.getByLabel("vin").fill("short");
  await page.getByLabel("year").fill("long ago");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText(`"vin" must have at least 17 characters`).waitFor();
  const mistakes = { vin: "at least 17", year: "is an integer", vrm: "needs the field", gearbox: "needs the field" };
  for (const [label, words] of Object.entries(mistakes)) {
    const input = page.getByLabel(label, { exact: false });
    const told = (await input.getAttribute("aria-describedby")).split(" ");
    const texts = await Promise.all(told.map((id) => page.locator(`#${id}`).textContent()));
    assert.ok(texts.join(" ").includes(words), `${label}: ${texts}`);
    assert.equal(await input.getAttribute("aria-invalid"), "true");
  }
  await accessible(page, "form with errors");
  const vehicle = { vin: "1HGCM82633A004352", vrm: "AB12CDE", year: 2024, gearbox: "manual", purchase_type: "lease" };
  await fillIn(page, vehicle);
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: /^fleet.Vehicle 1/ }).waitFor();
  assert.deepEqual(await server.query("retrieve", "fleet.Vehicle"), [{ id: 1, ...vehicle, model_colour: null }]);
  await page.goto(`${server.url}/#/records/fleet.Vehicle/new`);
  await fillIn(page, vehicle);
  await page.getByRole("button", { name: "Create" }).click();
  await page.locator("#main [aria-invalid]").waitFor();
  assert.equal(await page.getByLabel("vin").getAttribute("aria-invalid"), "true"); // it is taken
});

/** Fills in a form, as its controls take it. */
async function fillIn(page, values) {
  for (const [label, value] of Object.entries(values)) {
    const input = page.getByLabel(label, { exact: false });
    if (await input.evaluate((element) => element.tagName === "SELECT")) await input.selectOption(String(value));
    else await input.fill(String(value));
  }
}

/** A model with a field of each type, and one record in which every digit matters. */
async function every(server) {
  const plain = ["text", "float", "boolean", "date", "time", "uuid", "json"];
  const fields = Object.fromEntries(plain.map((type) => [`a_${type}`, { type, null: true }]));
  const models = {
    "odd.Every": { versioned: true, fields: {
      name: { type: "string", max_length: 40 }, big: { type: "integer" }, price: { type: "decimal", max_digits: 18, decimal_places: 4 },
      moment: { type: "datetime" }, rank: { type: "integer", choices: [1, 2, 3], default: 2 }, ...fields } },
  };
  await server.query("apply", "system.Model", { models, allowDataLoss: true }, { schema: "controller" });
  const body = `{ "__meta__": { "intent": "create", "namespace": "odd.Every" }, "name": "one", "big": 9007199254740993,
    "price": "12345678901234.5678", "moment": "2026-07-31T09:30:00.123456Z", "a_text": "two\\nlines", "a_float": 5.0, "a_boolean": false,
    "a_date": "2026-01-31", "a_time": "09:30:15.123456", "a_uuid": "c0ffee00-c0ff-4e00-8000-c0ffee000001",
    "a_json": {"b": 1.0, "big": 12345678901234567890, "a": [null]} }`;
  await raw(server, body);
}

check("every digit of what is not changed stays as it is", async ({ server, page }) => {
  await every(server);
  const read = `{ "__meta__": { "intent": "retrieve", "namespace": "odd.Every" } }`;
  const before = JSON.parse(await raw(server, read));
  await signIn(page, server, { view: "#/records/odd.Every" });
  await page.getByText("9007199254740993").waitFor();
  await page.getByText("12345678901234.5678").waitFor();
  await page.getByRole("link", { name: "1", exact: true }).click();
  await page.getByText("9007199254740993").waitFor();
  await accessible(page, "record with every type");
  await page.getByRole("link", { name: "Edit" }).click();
  assert.equal(await page.getByLabel("big").inputValue(), "9007199254740993");
  assert.equal(await page.getByLabel("price").inputValue(), "12345678901234.5678");
  assert.equal(await page.getByLabel("moment").inputValue(), "2026-07-31T10:30:00.123"); // in London
  await accessible(page, "form with every type");
  await page.getByLabel("name").fill("another");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("odd.Every 1 is saved.").waitFor();
  const after = JSON.parse(await raw(server, read));
  assert.deepEqual(after.data, [{ ...before.data[0], name: "another", version: "2" }]);
});

check("a value of each type is changed to what was entered", async ({ server, page }) => {
  await every(server);
  await signIn(page, server, { view: "#/records/odd.Every/1/edit" });
  await page.getByLabel("big").fill("-9223372036854775808");
  await page.getByLabel("price").fill("0.0001");
  await page.getByLabel("moment").fill("2026-01-31T23:59:58");
  await page.getByLabel("rank").selectOption("3");
  await page.getByLabel("a_text", { exact: true }).fill("one line");
  await page.getByLabel("a_float", { exact: true }).fill("-1e-3");
  await page.getByLabel("a_boolean").selectOption("true");
  await page.getByLabel("a_date", { exact: true }).fill("2027-12-31");
  await page.getByLabel("a_time", { exact: true }).fill("23:59:58");
  await page.getByLabel("a_uuid: no value (null)").check();
  const json = page.getByLabel("a_json", { exact: true });
  assert.match(await json.inputValue(), /"b": 1\.0,\s+"big": 12345678901234567890/);
  await json.fill(`{ "b": `);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(`"a_json" is not JSON`).waitFor();
  await json.fill(`{ "b": 1.10 }`);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("odd.Every 1 is saved.").waitFor();
  const { data } = JSON.parse(await raw(server, `{ "__meta__": { "intent": "retrieve", "namespace": "odd.Every" } }`));
  assert.deepEqual(data, [{
    id: "1", name: "one", big: "-9223372036854775808", price: "0.0001", moment: "2026-01-31T23:59:58.000000Z", rank: "3",
    a_text: "one line", a_float: "-0.001", a_boolean: true, a_date: "2027-12-31", a_time: "23:59:58.000000", a_uuid: null,
    a_json: { b: "1.10" }, version: "2",
  }]);
});

check("who saves an old version is told so, and may load the newer", async ({ server, page }) => {
  await every(server);
  await signIn(page, server, { view: "#/records/odd.Every/1/edit" });
  await page.getByLabel("name").fill("mine");
  await server.query("update", "odd.Every", { name: "theirs" }, { uniqueObject: { id: 1 } });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("its version is 2 now").waitFor();
  await accessible(page, "conflict");
  await page.getByRole("button", { name: "Load it as it is now" }).click();
  await page.getByRole("heading", { name: "theirs" }).waitFor();
  assert.equal(await page.getByLabel("name").inputValue(), "theirs");
  await page.getByLabel("name").fill("mine");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("odd.Every 1 is saved.").waitFor();
  assert.equal((await server.query("retrieve", "odd.Every"))[0].name, "mine");
});

check("with the keyboard alone a record is found, opened and changed", async ({ server, page }) => {
  await story(server);
  await signIn(page, server, { view: `${TICKETS}?search=ticket+30` });
  await press(page, () => document.activeElement.textContent === "30");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "tickets.Ticket 30: Ticket 30" }).waitFor();
  await press(page, () => document.activeElement.textContent === "Edit");
  await page.keyboard.press("Enter");
  const category = page.getByRole("combobox", { name: "category" });
  await category.waitFor();
  await press(page, () => document.activeElement.getAttribute("role") === "combobox");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("script");
  await page.getByRole("option").filter({ hasText: HOSTILE }).waitFor();
  await accessible(page, "combobox");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await category.inputValue(), HOSTILE);
  await press(page, () => document.activeElement.getAttribute("aria-label") === "Add to tags");
  await page.keyboard.type("urg");
  await page.getByRole("option", { name: "urgent" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter"); // Remove
  await press(page, () => document.activeElement.textContent === "Save");
  await page.keyboard.press("Enter");
  await page.getByText("tickets.Ticket 30 is saved.").waitFor();
  const { category: id, tags } = await record(server, 30);
  assert.deepEqual({ id, tags }, { id: 2, tags: [] });
  assert.equal(await page.title(), "tickets.Ticket 30 · Records · jqlite");
});

check("what is stored is shown as text, wherever it is", async ({ server, page }) => {
  await story(server);
  await server.query("update", "tickets.Ticket", { category: 2 }, { uniqueObject: { id: 7 } });
  for (const view of [TICKETS, `${TICKETS}/7`, `${TICKETS}/7/edit`, "#/records/tickets.Category/2"]) {
    await signIn(page, server, { view });
    const isForm = view.endsWith("edit");
    await (isForm ? page.getByLabel("title", { exact: true }) : page.getByRole("main").getByText(HOSTILE).first()).waitFor();
    if (isForm) assert.equal(await page.getByRole("combobox", { name: "category" }).inputValue(), HOSTILE);
    assert.match(await page.title(), /Records · jqlite$/);
    assert.equal(await page.locator("img").count(), 0);
    assert.equal(await page.locator("main script").count(), 0);
    await page.goto("about:blank");
  }
});

check("a key that may only read is offered nothing else", async ({ server, page }) => {
  const { reader } = await story(server);
  await signIn(page, server, { key: reader, view: TICKETS });
  await page.getByText("30 records").waitFor();
  assert.equal(await page.getByRole("link", { name: "New record" }).count(), 0);
  await page.getByRole("link", { name: "1", exact: true }).click();
  await page.getByRole("heading", { name: "tickets.Ticket 1: Ticket 1" }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Edit" }).count(), 0);
  assert.equal(await page.getByRole("button", { name: /Delete/ }).count(), 0);
  await page.evaluate(() => { location.hash += "/edit"; });
  await page.getByRole("heading", { name: "tickets.Ticket 1: Ticket 1" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Save" }).count(), 0);
  await page.evaluate(() => { location.hash = "#/records/profile.Customer"; });
  await page.getByText("There is no such model, or this key may not see it.").waitFor();
});

check("a key that may change and not read reaches records by their id", async ({ server, page }) => {
  await story(server);
  const { key } = await server.query("create", "system.ApiKey", { name: "writer", permissions: ["tickets.Ticket:update"] });
  await signIn(page, server, { key, view: TICKETS });
  await page.getByLabel("The id of a record").fill("3");
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByLabel("title", { exact: true }).fill("Blind");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("tickets.Ticket 3 is saved.").waitFor();
  const { title, status, category, tags } = await record(server, 3);
  assert.deepEqual({ title, status, category, tags }, { title: "Blind", status: "open", category: 1, tags: [1] });
  await accessible(page, "a record that may not be read");
});

check("what is still referred to stays, and leads to what refers to it", async ({ server, page }) => {
  await story(server);
  await signIn(page, server, { view: "#/records/tickets.Category/1" });
  await page.getByText("tickets.Ticket by category").waitFor();
  await page.getByText(": 30").waitFor();
  await page.getByRole("button", { name: "Delete…" }).click();
  const asked = page.getByRole("dialog", { name: "Delete tickets.Category 1?" });
  await accessible(page, "asked before deleting");
  await asked.getByRole("button", { name: "Delete" }).click();
  await asked.getByText("still referred to by tickets.Ticket").waitFor();
  await asked.getByRole("link", { name: "tickets.Ticket by category" }).click();
  await page.getByText("30 records").waitFor();
  assert.equal(await page.getByLabel("Field of condition 1").inputValue(), "category");
  await page.goto(`${server.url}/#/records/tickets.Ticket/4`);
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("tickets.Ticket 4 is deleted.").waitFor();
  assert.equal((await server.query("count", "tickets.Ticket")).count, 29);
});

check("columns are chosen, and the way between models is there on a phone", async ({ server, page }) => {
  await story(server);
  await signIn(page, server, { view: TICKETS });
  await page.getByText("Columns", { exact: true }).click();
  await page.getByRole("checkbox", { name: "description" }).uncheck();
  await page.getByRole("checkbox", { name: "tags" }).check();
  await page.getByRole("cell", { name: "urgent" }).first().waitFor();
  const headings = await page.getByRole("columnheader").allTextContents();
  assert.deepEqual(headings, ["id", "title", "status", "priority", "cost", "category", "tags"]);
  assert.match(page.url(), /columns=title%2Cstatus%2Cpriority%2Ccost%2Ccategory%2Ctags/);
  assert.ok(await page.getByRole("navigation", { name: "Models" }).isVisible());
  await page.setViewportSize({ width: 360, height: 740 });
  assert.ok(!await page.getByRole("navigation", { name: "Models" }).isVisible());
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await page.getByLabel("Model", { exact: true }).selectOption("tickets.Tag");
  await page.getByRole("button", { name: "Go", exact: true }).click();
  await page.getByRole("link", { name: "1", exact: true }).waitFor();
  await accessible(page, "list on a phone");
  for (const view of [`${TICKETS}/7`, `${TICKETS}/7/edit`, "#/records/tickets.Ticket/new"]) {
    await page.goto(`${server.url}/${view}`);
    await page.getByRole("heading", { level: 2 }).first().waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, view);
  }
}, { context: { colorScheme: "dark" } });

check("an id stands for a record that may not be read", async ({ server, page }) => {
  await story(server);
  const { key } = await server.query("create", "system.ApiKey", { name: "narrow", permissions: ["tickets.Ticket:*"] });
  await signIn(page, server, { key, view: `${TICKETS}/3` });
  await page.getByRole("link", { name: "Edit" }).click();
  const category = page.getByLabel("category", { exact: true });
  assert.equal(await category.inputValue(), "1");
  assert.equal(await page.getByRole("combobox", { name: "category" }).count(), 0);
  await category.fill("99");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("[aria-invalid]").waitFor();
  await category.fill("2");
  await page.getByLabel("tags: ids, commas between them").fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("tickets.Ticket 3 is saved.").waitFor();
  const { category: id, tags } = await record(server, 3);
  assert.deepEqual({ id, tags }, { id: 2, tags: [] });
});

/** Fills in a condition of the filter. */
async function condition(page, number, field, lookup, value) {
  await page.getByLabel(`Field of condition ${number}`).fill(field);
  await page.getByLabel(`Lookup of condition ${number}`).selectOption(lookup);
  const input = page.getByLabel(`Value of condition ${number}`);
  if (await input.evaluate((element) => element.tagName === "SELECT")) await input.selectOption(value);
  else await input.fill(value);
}

/** Asserts that the table shows the records that the server gives, in that order. */
async function same({ server, page }, meta) {
  await page.locator("main [aria-busy]").waitFor({ state: "detached" });
  const records = await server.query("retrieve", "tickets.Ticket", { id: null }, meta);
  assert.deepEqual(await ids(page), records.map(({ id }) => String(id)));
}

/** The ids that the table shows. */
function ids(page) {
  return page.getByRole("rowheader").allTextContents();
}

/** All that the server has of a ticket. */
async function record(server, id) {
  const names = "id title description status priority cost category tags customer created updated".split(" ");
  return server.query("retrieveOne", "tickets.Ticket", Object.fromEntries(names.map((name) => [name, null])), { uniqueObject: { id } });
}

/** Sends a text, and gives the answer's. */
async function raw(server, body) {
  const headers = { Authorization: `Bearer ${server.key}`, "Content-Type": "application/json" };
  const answer = await fetch(`${server.url}/jql`, { method: "POST", headers, body });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return text.replace(/(?<=[:[,]\s*)-?\d[\d.eE+-]*(?=\s*[,}\]])/g, `"$&"`); // numbers as texts, with all their digits
}

/** Goes on with the Tab key until the focus is where `is` says. */
async function press(page, is) {
  for (let number = 0; number < 60; number += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(is)) return;
  }
  assert.fail("the Tab key does not lead there");
}
