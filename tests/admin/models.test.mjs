import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { accessible, check, HOSTILE, signIn } from "./support.mjs";

const MODELS = JSON.parse(readFileSync(fileURLToPath(new URL("../../examples/models.json", import.meta.url))));
const RELATIONS = Object.entries(MODELS).flatMap(([from, { fields }]) =>
  Object.entries(fields).filter(([, { to }]) => to).map(([name, { type, to, related_name }]) => ({ from, name, type, to, related_name })));

check("the picture and the table of relations say what the definitions say", async ({ server, page }) => {
  await signIn(page, server, { view: "#/models" });
  const picture = page.getByRole("region", { name: "Picture of the relations" });
  const boxes = await picture.getByRole("link").all();
  const names = await Promise.all(boxes.map((box) => box.getAttribute("aria-label")));
  assert.deepEqual([...names].sort(), Object.keys(MODELS).sort());
  assert.deepEqual((await picture.locator("text.name").allTextContents()).sort(), RELATIONS.map(({ name }) => name).sort());
  assert.equal(await picture.locator("path.line").count(), RELATIONS.length);
  await accessible(page, "models");
  await page.getByText("The relations as a table").click();
  const rows = await page.getByRole("region", { name: "Relations", exact: true }).locator("tbody tr").all();
  const told = await Promise.all(rows.map((row) => row.locator("th, td").allTextContents()));
  const said = RELATIONS.map(({ from, name, type, to, related_name }) =>
    [`${from}.${name}`, `${type === "refs" ? "many" : "one"} of ${to}`, related_name]);
  assert.deepEqual(told.sort(), said.sort());
  // No two boxes lie on each other.
  const places = await Promise.all(boxes.map(async (box) => box.boundingBox()));
  for (const [number, a] of places.entries()) {
    for (const b of places.slice(number + 1)) {
      assert.ok(a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y);
    }
  }
  await boxes[0].focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 2, name: names[0] }).waitFor();
});

check("a definition tells each field, and is there as JSON", async ({ server, page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, server, { view: "#/models/tickets.Ticket" });
  const fields = page.getByRole("region", { name: "Fields of tickets.Ticket" });
  assert.deepEqual(await fields.getByRole("rowheader").allTextContents(), ["id", ...Object.keys(MODELS["tickets.Ticket"].fields)]);
  const row = (name) => fields.getByRole("row").filter({ has: page.getByRole("rowheader", { name, exact: true }) });
  assert.match(await row("title").textContent(), /string\s*required.*at most 200 characters/);
  assert.match(await row("status").textContent(), /one of open, pending, closed.*"open" where nothing is given/);
  assert.match(await row("priority").textContent(), /at least 0; at most 5/);
  assert.match(await row("cost").textContent(), /may be null.*at most 10 digits, 2 of them behind the point/);
  assert.match(await row("created").textContent(), /set by the server/);
  await accessible(page, "definition");
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied.").waitFor();
  assert.deepEqual(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())), { "tickets.Ticket": MODELS["tickets.Ticket"] });
  await row("category").getByRole("link").click();
  await page.getByText("tickets.Ticket by category").or(page.getByText("by category, as tickets")).waitFor();
  await page.getByRole("link", { name: "Its records" }).click();
  await page.getByRole("heading", { name: "tickets.Category" }).waitFor();
});

check("the models are changed, once it was told what would come of it", async ({ server, page }) => {
  const vehicle = { vin: "1HGCM82633A004352", vrm: "AB12CDE", year: 2024, gearbox: "manual", purchase_type: "lease" };
  await server.query("create", "fleet.Vehicle", vehicle);
  await signIn(page, server, { view: "#/models" });
  await page.getByRole("link", { name: "Change the models" }).click();
  const text = page.getByLabel("All models as JSON");
  assert.deepEqual(JSON.parse(await text.inputValue()), MODELS);
  const look = page.getByRole("button", { name: "See what would change" });
  await look.click();
  await page.getByText("Nothing would change.").waitFor();
  await accessible(page, "editor");

  await text.fill("{");
  await look.click();
  await page.getByText("This is not JSON").waitFor();
  const wrong = structuredClone(MODELS);
  wrong["tickets.Tag"].fields.name.type = "strong";
  wrong["tickets.Tag"].fields.colour = { type: "string", maxlength: 3 };
  await text.fill(JSON.stringify(wrong));
  await look.click();
  await page.getByText("/models/tickets.Tag/fields/name/type").waitFor();
  await page.getByText(/\/models\/tickets.Tag\/fields\/colour/).first().waitFor();
  await accessible(page, "editor with mistakes");

  const right = structuredClone(MODELS);
  delete right["fleet.Vehicle"];
  right["tickets.Tag"].fields.colour = { type: "string", null: true, help: HOSTILE };
  await text.fill(JSON.stringify(right));
  await look.click();
  await page.getByText("drop fleet.Vehicle").waitFor();
  await page.getByText("1 record of fleet.Vehicle").waitFor();
  await accessible(page, "what would change");
  await page.getByRole("button", { name: "Apply…" }).click();
  const asked = page.getByRole("dialog", { name: "Apply these models?" });
  await asked.getByText("1 record of fleet.Vehicle").waitFor();
  await asked.getByRole("button", { name: "Apply" }).click();
  await asked.getByText("this would lose 1 record of fleet.Vehicle").waitFor();
  await accessible(page, "refused to lose");
  await asked.getByLabel("Go on without these").check();
  await asked.getByRole("button", { name: "Apply" }).click();
  await page.getByText("The models are applied: version 2.").waitFor();
  const stored = await server.query("retrieve", "system.Model", { namespace: null, definition: null });
  assert.deepEqual(Object.fromEntries(stored.map(({ namespace, definition }) => [namespace, definition])), right);
  assert.equal(await page.getByRole("link", { name: "fleet.Vehicle" }).count(), 0);
  await page.getByRole("link", { name: "tickets.Tag" }).first().click();
  await page.getByText(HOSTILE).first().waitFor();
  assert.equal(await page.title(), "tickets.Tag · Models · jqlite");
  assert.equal(await page.locator("img").count(), 0);
});

check("a key sees of the models what it may, and changes none", async ({ server, page }) => {
  const permissions = ["tickets.Ticket:read", "tickets.Tag:read"];
  const { key } = await server.query("create", "system.ApiKey", { name: "reader", permissions });
  await signIn(page, server, { key, view: "#/models" });
  const names = await page.getByRole("region", { name: "Models" }).getByRole("rowheader").allTextContents();
  assert.deepEqual(names.sort(), ["tickets.Tag", "tickets.Ticket"]);
  assert.deepEqual(await page.locator("text.name").allTextContents(), ["tags"]);
  assert.equal(await page.getByRole("link", { name: "Change the models" }).count(), 0);
  await page.evaluate(() => { location.hash = "#/models/tickets.Ticket"; });
  await page.getByRole("heading", { name: "tickets.Ticket" }).waitFor();
  assert.equal(await page.getByText("As JSON").count(), 0);
  assert.ok(!(await page.textContent("main")).includes("Category"));
  await page.evaluate(() => { location.hash = "#/models/edit"; });
  await page.getByText("This key may not change the models.").waitFor();
});

check("circles and references to itself have their place in the picture, also on a phone in the dark", async ({ server, page }) => {
  const ref = (to, related_name) => ({ type: "ref", to, null: true, related_name });
  const models = {
    "a.One": { fields: { two: ref("a.Two", "ones"), self: ref("a.One", "children"), again: ref("a.Two", "others") } },
    "a.Two": { fields: { three: ref("b.Three", "twos") } },
    "b.Three": { fields: { one: ref("a.One", "threes"), alone: { type: "string" } } },
    "b.WhateverIsCalledByAVeryLongName": { fields: { three: ref("b.Three", "long") } },
  };
  await server.query("apply", "system.Model", { models, allowDataLoss: true }, { schema: "controller" });
  await signIn(page, server, { view: "#/models" });
  const picture = page.getByRole("region", { name: "Picture of the relations" });
  assert.deepEqual((await picture.locator("text.name").allTextContents()).sort(), ["one", "self", "three", "three", "two, again"]);
  assert.equal(await picture.getByRole("link").count(), 4);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await accessible(page, "models on a phone in the dark");
  for (const view of ["#/models/a.One", "#/models/edit"]) {
    await page.evaluate((hash) => { location.hash = hash; }, view);
    await page.getByRole("link", { name: view.endsWith("edit") ? "Cancel" : "Its records" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, view);
    await accessible(page, view);
  }
}, { context: { colorScheme: "dark", viewport: { width: 360, height: 740 } } });
