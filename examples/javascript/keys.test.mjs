// Another file, which runs beside the first one with a server of its own.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Refused, start } from "./jqlite.mjs";

const jqlite = await start("--models", fileURLToPath(new URL("../models.json", import.meta.url)));
after(() => jqlite.stop());
beforeEach(() => jqlite.fixture("reset"));

test("a key reads what it may and nothing else", async () => {
  const values = { name: "shop", permissions: ["tickets.Tag:read"] };
  const { key } = await jqlite.query("create", "system.ApiKey", values);
  assert.deepEqual(await jqlite.query("count", "tickets.Tag", {}, {}, key), { count: 0 });
  const other = jqlite.query("count", "tickets.Ticket", {}, {}, key);
  await assert.rejects(other, (refused) => refused instanceof Refused && refused.status === 403);
});

test("keys of one test are gone in the next", async () => {
  assert.deepEqual(await jqlite.query("count", "system.ApiKey"), { count: 1 });
});
