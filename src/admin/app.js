// The page: signing in and out, which view is shown, and the way from one to the other. A view is a row of VIEWS.

import { h, nodes } from "./dom.js";
import { refused, say } from "./ui.js";
import { signIn } from "./signin.js";
import * as keys from "./keys.js";
import * as usage from "./usage.js";
import * as log from "./log.js";
import * as findings from "./findings.js";
import * as records from "./records.js";
import * as models from "./models.js";
import * as console_ from "./console.js";

/**
 * A view has a `title`, says whether it is `offered` to that session, and shows itself: `show(place)` gives its content, or a
 * promise of it. A place has `session`; `path`, what stands behind the view's name (`#/keys/abc` has `["abc"]`); `query`, the
 * URLSearchParams behind the question mark; `signal`, which aborts once the view is left; `go(hash)`; `again()`, which shows
 * the view anew; and `named(what)`, which says in the window's title what of the view is shown.
 */
const VIEWS = { keys, usage, log, findings, records, models, console: console_ };

/** After so many milliseconds it is said that a view is loading. */
const SLOW = 400;

const main = document.getElementById("main");
let session = null;
let leave = new AbortController();

window.addEventListener("hashchange", show);
// A page that the browser keeps for the way back keeps neither the key nor a secret that it shows.
window.addEventListener("pagehide", () => session && end(""));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address tells the view
  main.focus();
});
show();

/** Shows the view that the address tells, or the sign-in. */
async function show() {
  leave.abort();
  leave = new AbortController();
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  const { signal } = leave;
  if (!session) {
    fill("Sign in", null, signIn(begin));
    return;
  }
  const offered = Object.keys(VIEWS).filter((name) => VIEWS[name].offered(session));
  const [route, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...path] = route.split("/").map(decoded);
  if (!name && offered.length) {
    location.replace(`#/${offered[0]}`);
    return;
  }
  head(offered, name);
  const view = offered.includes(name) ? VIEWS[name] : null;
  const title = view?.title ?? "Nothing here";
  let what = null;
  const place = { session, path, query: new URLSearchParams(query), signal,
    go: (hash) => { if (!signal.aborted) location.hash = hash; }, again: () => { if (!signal.aborted) show(); },
    named: (text) => { what = text; } };
  main.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => signal.aborted || fill(title, what, h("p", { class: "empty", role: "status" }, "Loading …")), SLOW);
  try {
    const content = view ? await view.show(place) : nothing(offered);
    if (!signal.aborted) fill(title, what, content);
  } catch (error) {
    if (!signal.aborted) fill(title, what, refused(error));
  } finally {
    clearTimeout(slow);
  }
}

/** Puts a view in place, under its title, with `what` of it is shown in that of the window. The focus goes to the title, where a reader begins. */
function fill(title, what, ...content) {
  document.title = [what, title, "jqlite"].filter(Boolean).join(" · ");
  const heading = h("h1", { tabindex: "-1" }, title);
  main.replaceChildren(heading, ...nodes(content));
  main.removeAttribute("aria-busy");
  (session ? heading : main.querySelector("input")).focus();
}

/** A part of the address as it was meant; one that is written wrongly as it stands. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function nothing(offered) {
  return h("p", {}, offered.length ? "There is no such view, or this key may not see it." : "This key may do nothing that this page shows.");
}

/** The links to the views that are offered, and who is signed in. */
function head(offered, name) {
  const links = offered.map((each) =>
    h("li", {}, h("a", { href: `#/${each}`, "aria-current": each === name && "page" }, VIEWS[each].title)));
  document.getElementById("views").replaceChildren(...links);
  document.getElementById("who").replaceChildren(...(session
    ? [h("span", { class: "me", title: session.me.public_id }, session.me.name),
      h("button", { type: "button", onclick: () => end("You are signed out.") }, "Sign out")]
    : []));
}

function begin(begun) {
  session = begun;
  begun.client.refused = (why) => session === begun && end(`You are signed out: ${why}.`);
  show();
}

/** Forgets the key, and everything that was shown with it. */
function end(why) {
  session.client.close();
  session = null;
  document.querySelectorAll("dialog").forEach((dialog) => dialog.remove());
  head([], "");
  show();
  say(why);
}
