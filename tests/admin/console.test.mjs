import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { accessible, check, HOSTILE, signIn, story } from "./support.mjs";

const run = promisify(execFile);
const editor = (page) => page.getByLabel("Request", { exact: true });
const options = (page) => page.getByRole("listbox", { name: "Completions" }).getByRole("option");
const answer = (page) => page.getByRole("region", { name: "Answer", exact: true });

/** What is chosen of what is offered. */
const active = (page) => page.evaluate(() => {
  const id = document.activeElement.getAttribute("aria-activedescendant");
  return id && document.getElementById(id).firstChild.textContent;
});

/** The words that are offered at the bar in `text`. */
async function offered(page, text) {
  const input = editor(page);
  await input.fill(text.replace("|", ""));
  await input.evaluate((element, at) => element.setSelectionRange(at, at), text.indexOf("|"));
  await page.keyboard.press("Control+Space");
  return options(page).evaluateAll((all) => all.map((one) => one.firstChild.textContent));
}

/** Puts a request into the editor, sends it, and waits for its answer. */
async function send(page, request) {
  await editor(page).fill(typeof request === "string" ? request : JSON.stringify(request));
  const came = page.waitForResponse(/\/jql$/);
  await page.keyboard.press("Control+Enter");
  const status = (await came).status();
  await answer(page).locator(".badge", { hasText: String(status) }).waitFor();
  return status;
}

/** The value that the tree shows; what is folded in it is opened. */
function shown(page) {
  return page.locator(".tree").evaluate(async (tree) => {
    const frame = () => new Promise((done) => { requestAnimationFrame(() => setTimeout(done)); });
    async function value(item) {
      const details = item.querySelector(":scope > details");
      if (!details) {
        const leaf = item.lastChild;
        return leaf.className === "string" ? leaf.textContent : JSON.parse(leaf.textContent);
      }
      details.open = true;
      while (!details.querySelector(":scope > ul").children.length) await frame();
      const members = [];
      for (const child of details.querySelectorAll(":scope > ul > li")) {
        members.push([child.querySelector(".key").textContent, await value(child)]);
      }
      const isList = / item/.test(details.querySelector("summary .hint").textContent);
      return isList ? members.map(([, one]) => one) : Object.fromEntries(members);
    }
    return value(tree.firstChild);
  });
}

check("a request is written by keyboard alone, with completion, and the tree shows what the server answers", async ({ server, page }) => {
  await story(server);
  await signIn(page, server, { view: "#/console" });
  await page.getByRole("heading", { name: "Console" }).waitFor();
  const type = (text) => page.keyboard.type(text);
  const press = (key) => page.keyboard.press(key);
  const takes = async (word, key = "Enter") => {
    assert.equal(await active(page), word);
    await press(key);
  };
  while (!await editor(page).evaluate((element) => element === document.activeElement)) await press("Tab");
  await press("Control+a");
  await type("{");
  await press("Control+Space");
  await takes("__meta__");
  await takes("intent");
  await takes("retrieve");
  await type(', "na');
  await takes("namespace", "Tab");
  await type("tickets.ti");
  await takes("tickets.Ticket");
  await type(", fi");
  await takes("filter", "Tab");
  await type('"stat');
  await takes("status");
  await press("ArrowDown");
  await press("ArrowDown");
  await press("ArrowUp");
  await takes("pending");
  await type(', "category__name__en');
  await takes("category__name__endswith", "Tab");
  await type("ing");
  await press("End");
  await type(', "cat');
  await takes("category");
  await type('"na');
  await takes("name");
  await press("End");
  await type(', "ti');
  await takes("title");
  await type("}");
  const request = JSON.parse(await editor(page).inputValue());
  assert.deepEqual(request, {
    __meta__: { intent: "retrieve", namespace: "tickets.Ticket", filter: { status: "pending", category__name__endswith: "ing" } },
    category: { name: null }, title: null,
  });
  await press("Control+Enter");
  await answer(page).getByText("200", { exact: true }).waitFor();
  const expected = await server.send(request);
  assert.deepEqual(await shown(page), expected);
  assert.equal(expected.data.length, 10);
  assert.match(await answer(page).textContent(), new RegExp(`${expected.extras.queries} SQL statements`));
  await answer(page).getByRole("button", { name: "As text" }).click();
  assert.deepEqual(JSON.parse(await page.getByRole("region", { name: "Answer as text" }).textContent()), expected);
});

check("the completions hold nobody", async ({ server, page }) => {
  await signIn(page, server, { view: "#/console" });
  const input = editor(page);
  await input.fill("");
  await input.press("{");
  await input.press('"');
  assert.equal(await options(page).count(), 1);
  assert.equal(await active(page), "__meta__");
  await input.press("Escape");
  assert.equal(await options(page).first().isVisible(), false);
  assert.equal(await input.getAttribute("aria-activedescendant"), null);
  await input.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Run");
  await page.keyboard.press("Shift+Tab");
  assert.equal(await input.evaluate((element) => element === document.activeElement), true);
  assert.equal(await input.inputValue(), '{"');
  // By pointer, and undone again.
  await page.keyboard.press("Control+Space");
  await options(page).getByText("__meta__").click();
  assert.equal(await input.inputValue(), '{"__meta__": {}');
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+z");
  assert.equal(await input.inputValue(), '{"');
});

check("what is no JSON is told with its place and not sent; what the server refuses leads to its place", async ({ server, page }) => {
  await signIn(page, server, { view: "#/console" });
  const input = editor(page);
  const selected = () => input.evaluate((element) => element.value.slice(element.selectionStart, element.selectionEnd));
  let sent = 0;
  page.on("request", (request) => { sent += request.url().endsWith("/jql"); });
  await input.fill('{\n  "__meta__": { "intent" "count" }\n}');
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const place = page.getByRole("button", { name: "Line 2, column 26" });
  assert.match(await page.getByRole("alert").textContent(), /A colon is missing/);
  await place.click();
  assert.equal(await selected(), '"');
  assert.equal(sent, 0);
  await accessible(page, "a mistake of JSON");
  await input.fill('{\n  "__meta__": { "intent": "count" }\n}');
  assert.equal(await page.getByRole("alert").count(), 0);

  const text = '{ "__meta__": { "intent": "retrieve", "namespace": "tickets.Ticket",\n'
    + '  "filter": { "a~/b": 1, "priority__gt": "high" } }, "titel": null }';
  assert.equal(await send(page, text), 400);
  await accessible(page, "mistakes that the server told");
  for (const [pointer, expected] of [
    ["/__meta__/filter/a~0~1b", '"a~/b": 1'], ["/__meta__/filter/priority__gt", '"priority__gt": "high"'], ["/titel", '"titel": null'],
  ]) {
    await answer(page).getByRole("button", { name: `Go to ${pointer}`, exact: true }).click();
    assert.equal(await selected(), expected);
  }
  assert.match(await answer(page).textContent(), /did you mean "title"\?/);
});

check("the copied command gives the same in a shell, and names the key without telling it", async ({ server, page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, server, { view: "#/console" });
  const name = `it's "$HOME" \`id\` \\ $(id) !! %s \n é 😀 \u009b\u202e`;
  const created = await server.query("create", "tickets.Category", { name });
  const request = { __meta__: { intent: "retrieve", namespace: "tickets.Category", filter: { name } }, id: null, name: null };
  await editor(page).fill(JSON.stringify(request, null, 2));
  await page.getByRole("button", { name: "Copy as curl" }).click();
  await page.getByText("Copied.").waitFor();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(!command.includes(server.key));
  assert.ok(!/[\n\u009b\u202e]/.test(command));
  const { stdout } = await run("sh", ["-c", command], { env: { ...process.env, JQLITE_KEY: server.key } });
  assert.deepEqual(JSON.parse(stdout).data, [{ id: created.id, name }]);

  await page.getByRole("button", { name: "Run", exact: true }).click();
  await answer(page).getByText("200", { exact: true }).waitFor();
  await answer(page).getByRole("button", { name: "Copy answer" }).click();
  await page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith('{"status"'));
  assert.deepEqual(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())).data, [{ id: created.id, name }]);
});

check("numbers stay what they are", async ({ server, page }) => {
  await signIn(page, server, { view: "#/console" });
  await editor(page).fill('{"__meta__":{"intent":"count","namespace":"tickets.Tag","filter":{"id__in":[12345678901234567890,1.50]}}}');
  await page.getByRole("button", { name: "Format" }).click();
  const formatted = await editor(page).inputValue();
  assert.ok(formatted.includes("\n") && formatted.includes("[12345678901234567890, 1.50]"), formatted);
  await send(page, '{"__meta__":{"intent":"count","namespace":"tickets.Tag","draw":9007199254740993}}');
  assert.match(await page.locator(".tree").textContent(), /draw9007199254740993/);
});

check("what is stored is shown as text", async ({ server, page }) => {
  await story(server);
  await signIn(page, server, { view: "#/console" });
  const title = await page.title();
  await send(page, { __meta__: { intent: "retrieve", namespace: "tickets.Ticket" }, title: null, category: { name: null } });
  await page.getByText(`title ${HOSTILE}`.slice(0, 80)).waitFor(); // what a folded record is known by
  const expected = await server.query("retrieve", "tickets.Ticket", { title: null, category: { name: null } });
  assert.deepEqual((await shown(page)).data, expected);
  await page.getByText(HOSTILE, { exact: true }).first().waitFor();
  await answer(page).getByRole("button", { name: "As text" }).click();
  // What was sent, in the question before it and in the list of what was sent.
  await editor(page).fill(JSON.stringify({ __meta__: { intent: HOSTILE, namespace: HOSTILE }, [HOSTILE]: HOSTILE }));
  await page.keyboard.press("Control+Enter");
  await page.getByRole("dialog").getByText(`It carries out ${HOSTILE} of ${HOSTILE}.`).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Run" }).click();
  await answer(page).getByText("400", { exact: true }).waitFor();
  await page.getByText("The last requests").click();
  await page.getByRole("button", { name: `${HOSTILE} ${HOSTILE}` }).waitFor();
  assert.equal(await page.title(), title);
  assert.equal(await page.locator("img").count(), 0);
});

check("writes ask first, dry runs do not", async ({ server, page }) => {
  await signIn(page, server, { view: "#/console" });
  const tags = async () => (await server.query("count", "tickets.Tag")).count;
  const create = (name, meta = {}) => ({ __meta__: { intent: "create", namespace: "tickets.Tag", ...meta }, name });
  const write = async (request) => {
    await editor(page).fill(JSON.stringify(request));
    await page.keyboard.press("Control+Enter");
    return page.getByRole("dialog", { name: "Run this write?" });
  };
  let asked = await write(create("one"));
  await asked.getByText("create of tickets.Tag").waitFor();
  await accessible(page, "asking before a write");
  await asked.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await tags(), 0);
  asked = await write(create("one"));
  await asked.getByRole("button", { name: "Run" }).click();
  await answer(page).getByText("200", { exact: true }).waitFor();
  assert.equal(await tags(), 1);
  const meta = { schema: "controller", intent: "execute", namespace: "system.Batch" };
  const batch = { __meta__: meta, requests: [create("two", { dryRun: true }), create("three")] };
  asked = await write(batch);
  await asked.getByText("create of tickets.Tag").waitFor();
  await asked.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await send(page, create("two", { dryRun: true })), 200);
  assert.equal(await send(page, { ...batch, __meta__: { ...meta, dryRun: true } }), 200);
  assert.equal(await tags(), 1);
  await page.getByLabel("Run writes without asking").check();
  assert.equal(await send(page, create("two")), 200);
  assert.equal(await tags(), 2);
  await page.getByLabel("Run writes without asking").uncheck();
  // By the other name of an intent, too.
  asked = await write({ __meta__: { intent: "delete", namespace: "tickets.Tag", uniqueObject: { name: "two" } } });
  await asked.getByText("delete of tickets.Tag").waitFor();
});

check("a request can be cancelled, and the last ones are kept as long as the session", async ({ server, page }) => {
  await signIn(page, server, { view: "#/console" });
  const count = (namespace) => ({ __meta__: { intent: "count", namespace } });
  await send(page, count("tickets.Tag"));
  await send(page, count("tickets.Nothing"));
  await page.route(/\/jql$/, () => {}); // is never answered
  await editor(page).fill(JSON.stringify(count("fleet.Vehicle")));
  await page.keyboard.press("Control+Enter");
  await page.getByRole("button", { name: "Cancel" }).click();
  await answer(page).getByText("Cancelled.").waitFor();
  await page.unroute(/\/jql$/);

  await page.getByRole("link", { name: "Keys" }).click();
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await page.goBack();
  await page.getByText("The last requests").click();
  const history = page.locator(".past li");
  const kept = await history.evaluateAll((all) => all.map((one) => [...one.children].map((each) => each.textContent)));
  assert.deepEqual(kept, [["count tickets.Nothing", "404"], ["count tickets.Tag", "200"]]);
  assert.equal(await editor(page).inputValue(), JSON.stringify(count("fleet.Vehicle")));
  await accessible(page, "the last requests");
  await history.getByRole("button", { name: "count tickets.Tag" }).click();
  assert.equal(await editor(page).inputValue(), JSON.stringify(count("tickets.Tag")));

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").fill(server.key);
  await page.keyboard.press("Enter");
  await page.getByText("The last requests").click();
  assert.equal(await page.locator(".past li").count(), 0);
});

check("long lists are opened in steps", async ({ server, page }) => {
  const objects = Array.from({ length: 250 }, (_, number) => ({ name: `tag ${number}` }));
  await server.query("createMany", "tickets.Tag", {}, { objects });
  await signIn(page, server, { view: "#/console" });
  await send(page, { __meta__: { intent: "retrieve", namespace: "tickets.Tag", limit: 250 }, name: null });
  const items = page.locator(".tree details:has(> summary > .key:text-is('data')) > ul > li");
  assert.equal(await items.count(), 101);
  await page.getByRole("button", { name: "Show 100 more of 150" }).click();
  assert.equal(await items.count(), 201);
  assert.match(await page.evaluate(() => document.activeElement.textContent), /^100/);
  await page.getByRole("button", { name: "Show 50 more of 50" }).click();
  assert.equal(await items.count(), 250);
  await items.last().locator("summary").click();
  await items.last().getByText("tag 249", { exact: true }).waitFor();
});

check("a key is offered nothing that it may not see", async ({ server, page }) => {
  await story(server);
  const { key } = await server.query("create", "system.ApiKey", { name: "narrow", permissions: ["tickets.Ticket:read"] });
  await signIn(page, server, { key, view: "#/console" });
  const of = (rest) => `{ "__meta__": { "intent": "retrieve", "namespace": "tickets.Ticket"${rest}`;
  assert.deepEqual(await offered(page, '{ "__meta__": { "namespace": "|'), ["tickets.Ticket"]);
  assert.deepEqual(await offered(page, '{ "__meta__": { "intent": "|'), ["retrieve", "retrieveOne", "count", "aggregate"]);
  const all = [];
  for (const place of [' }, |', ' }, "category": { |', ', "ordering": ["|']) all.push(...await offered(page, of(place)));
  for (const path of ["", "category__", "tags__"]) all.push(...await offered(page, of(`, "filter": { "${path}|`)));
  assert.ok(all.includes("category__isnull") && !all.includes("category__name") && !all.includes("tags__name"), all.join());
  const examples = await page.getByLabel("Example").locator("option").evaluateAll((every) => every.map((one) => one.value));
  assert.ok(examples.length > 1);
  for (const text of [...all, ...examples]) assert.ok(!/Category|Customer|Tag|Vehicle|system/.test(text.replace("system.Batch", "")), text);
});

check("every example is answered as it is, and changes nothing", async ({ server, page }) => {
  await story(server);
  await signIn(page, server, { view: "#/console" });
  const examples = await page.getByLabel("Example").locator("option").allTextContents();
  assert.equal(examples.length, 6);
  const before = await server.query("count", "tickets.Ticket");
  for (const label of examples) {
    await page.getByLabel("Example").selectOption({ label });
    await page.getByRole("button", { name: "Use this example" }).click();
    assert.equal(await send(page, await editor(page).inputValue()), 200, label);
  }
  assert.deepEqual(await server.query("count", "tickets.Ticket"), before);
});

check("the editor is as high as its text, within bounds; on a phone the answer is below it", async ({ server, page }) => {
  await signIn(page, server, { view: "#/console" });
  const input = editor(page);
  const height = async (lines) => {
    await input.fill("\n".repeat(lines));
    return input.evaluate((element) => element.offsetHeight);
  };
  const [few, some, many, more] = [await height(2), await height(18), await height(200), await height(400)];
  const { height: screen } = page.viewportSize();
  assert.ok(few < some && some < many && many === more && more < screen, [few, some, many, more].join());
  const below = async () => (await answer(page).boundingBox()).y > (await input.boundingBox()).y + 100;
  assert.equal(await below(), false);
  await page.setViewportSize({ width: 360, height: 740 });
  assert.equal(await below(), true);
});

for (const [name, context] of [
  ["light", { colorScheme: "light" }], ["dark", { colorScheme: "dark" }], ["on a phone", { viewport: { width: 360, height: 740 } }],
]) {
  check(`it is accessible with the completions open and with an answer, ${name}`, async ({ server, page }) => {
    await story(server);
    await signIn(page, server, { view: "#/console" });
    await offered(page, '{ "__meta__": { "intent": "retrieve", "namespace": "tickets.Ticket", "filter": { "|');
    assert.ok(await options(page).count() > 8);
    await accessible(page, "the completions");
    await page.keyboard.press("ArrowUp"); // to the last one
    assert.equal(await active(page), "__not__");
    await accessible(page, "the last completion");
    await send(page, { __meta__: { intent: "retrieve", namespace: "tickets.Ticket" }, title: null, cost: null, tags: { name: null } });
    await accessible(page, "an answer as a tree");
    await answer(page).getByRole("button", { name: "As text" }).click();
    await accessible(page, "an answer as text");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing stands out of the page");
  }, { context });
}
