// What a suite looks like that tests against jqlite.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Refused, start } from "./jqlite.mjs";

const models = fileURLToPath(new URL("../models.json", import.meta.url));
const jqlite = await start("--models", models, "--now", "2026-01-31T09:30:00Z", "--id-seed", "1");
after(() => jqlite.stop());
beforeEach(() => jqlite.fixture("reset"));

const billing = async () => (await jqlite.query("create", "tickets.Category", { name: "Billing" })).id;

test("a ticket is open and of this moment", async () => {
  const values = { title: "The invoice is wrong", category: await billing() };
  const made = { return: { id: null, status: null, created: null } };
  const ticket = await jqlite.query("create", "tickets.Ticket", values, made);
  assert.deepEqual(ticket, { id: 1, status: "open", created: "2026-01-31T09:30:00.000000Z" });
});

test("every test begins with no ticket", async () => {
  assert.deepEqual(await jqlite.query("count", "tickets.Ticket"), { count: 0 });
});

test("tickets of before last week", async () => {
  const category = await billing();
  await jqlite.query("create", "tickets.Ticket", { title: "Old", category });
  await jqlite.fixture("clock", { advance: "8d" });
  await jqlite.query("create", "tickets.Ticket", { title: "New", category });
  const old = { filter: { created__lt: "2026-02-01" } };
  assert.deepEqual(await jqlite.query("retrieve", "tickets.Ticket", { title: null }, old), [{ title: "Old" }]);
});

test("a snapshot is gone back to", async () => {
  const category = await billing();
  await jqlite.fixture("snapshot", { name: "billing" });
  for (const title of ["One", "Two"]) {
    await jqlite.query("create", "tickets.Ticket", { title, category });
    await jqlite.fixture("restore", { name: "billing" });
  }
  assert.deepEqual(await jqlite.query("count", "tickets.Ticket"), { count: 0 });
  assert.deepEqual(await jqlite.query("count", "tickets.Category"), { count: 1 });
});

test("a key that has expired is refused", async () => {
  const values = { name: "shop", permissions: ["tickets.Ticket:read"], expires: "2026-03-01" };
  const { key } = await jqlite.query("create", "system.ApiKey", values);
  const count = () => jqlite.query("count", "tickets.Ticket", {}, {}, key);
  assert.deepEqual(await count(), { count: 0 });
  await jqlite.fixture("clock", { advance: "30d" });
  await assert.rejects(count, (refused) => refused instanceof Refused && refused.status === 401);
});

for (let number = 0; number < 100; number++) {
  test(`one more, ${number}`, async () => {
    await jqlite.query("create", "tickets.Tag", { name: `tag ${number}` });
    const tags = await jqlite.query("retrieve", "tickets.Tag", { id: null, name: null });
    assert.deepEqual(tags, [{ id: 1, name: `tag ${number}` }]);
  });
}
