// Elements. All that comes from the server becomes text here, never markup: no file of this page uses innerHTML.

/**
 * An element: `h("a", { href: "#/keys", class: "row" }, "Keys")`. Of its properties, functions are listeners
 * (`onclick`), true is an attribute without a value, false, null and undefined are none. Children are elements, texts,
 * numbers, lists of them, or nothing.
 */
export function h(name, properties = {}, ...children) {
  return filled(document.createElement(name), properties, children);
}

/** The same in SVG. */
export function svg(name, properties = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...nodes(children));
  return element;
}

/** What `children` hold, as nodes and texts. */
export function nodes(children) {
  return [children].flat(Infinity).filter((child) => child != null && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

let last = 0;

/** An id that no other element has. */
export function unique(word) {
  last += 1;
  return `${word}-${last}`;
}
