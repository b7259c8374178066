import assert from "node:assert/strict";
import { accessible, check, signIn } from "./support.mjs";

check("a wrong key is told so at the field, and nothing is shown", async ({ server, page }) => {
  await page.goto(server.url);
  await accessible(page, "sign in");
  await page.getByLabel("API key").fill("jql_nonsense");
  await page.keyboard.press("Enter");
  await page.getByText("Authentication failed").waitFor();
  assert.equal(await page.getByRole("navigation", { name: "Views" }).getByRole("link").count(), 0);
});

check("the key lives in the tab's memory alone", async ({ server, page, context }) => {
  await signIn(page, server);
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, history.state, location.href, document.documentElement.outerHTML]));
  assert.ok(!kept.includes(server.key));
  assert.deepEqual((await context.storageState()).origins, []);
  await page.reload();
  await page.getByLabel("API key").waitFor();
  assert.equal(await page.getByLabel("API key").inputValue(), "");
});

check("what was cut out of a command is taken for the key in it", async ({ server, page }) => {
  await signIn(page, server, { key: ` Bearer ${server.key}'` });
});

check("signing out leaves nothing behind, also after the link to the content, and in a place that is written wrongly", async ({ server, page }) => {
  await signIn(page, server, { view: "#/keys/%" });
  await page.getByRole("link", { name: "Keys" }).click();
  await page.getByRole("link", { name: "Skip to the content" }).focus();
  await page.keyboard.press("Enter");
  assert.ok(await page.evaluate(() => document.activeElement === document.querySelector("main")));
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").waitFor();
  assert.equal(await page.getByText("fixture").count(), 0);
  assert.ok(await page.evaluate(() => document.activeElement.name === "key" || document.activeElement.type === "password"));
});

check("a key that ends meanwhile signs out wherever that is noticed, and what was under way shows nothing any more", async ({ server, page }) => {
  const made = await server.query("create", "system.ApiKey", { name: "short", permissions: ["system.*:*", "tickets.*:*"] });
  await signIn(page, server, { key: made.key, view: "#/usage" });
  await page.getByRole("button", { name: "Refresh" }).waitFor();
  await server.query("revoke", "system.ApiKey", {}, { schema: "controller", uniqueObject: { public_id: made.public_id } });
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByLabel("API key").waitFor();
  await page.getByText("You are signed out").waitFor();
});

check("signing out ends what is under way: no secret comes after it", async ({ server, page }) => {
  await signIn(page, server, { view: "#/keys/new" });
  await page.getByLabel("Name").fill("late");
  let go;
  const held = new Promise((resolve) => { go = resolve; });
  await page.route("**/jql", async (route) => {
    const answer = await route.fetch();
    await held;
    await route.fulfill({ response: answer }).catch(() => {}); // it may be given up by then
  });
  await page.getByRole("button", { name: "Create the key" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").waitFor();
  go();
  await page.unroute("**/jql", { behavior: "wait" });
  assert.equal(await page.getByRole("dialog").count(), 0);
});

check("a page that is left keeps neither the key nor what it shows", async ({ server, page }) => {
  await signIn(page, server, { view: "#/keys" });
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
  await page.getByLabel("API key").waitFor();
});
