import { h } from "./dom.js";

export const title = "Findings";

export function offered(session) {
  return true;
}

export async function show(place) {
  return h("p", {}, "To come.");
}
