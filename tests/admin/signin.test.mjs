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
