// A text area for code, as high as its text, with a list of what may stand where the caret is.
//
// The list never holds on to the keyboard: Escape closes it, and with it closed Tab goes on as everywhere.

import { h, unique } from "./dom.js";

/**
 * `complete(text, caret)` gives what completion.js does; `changed()` is called after each change, `run()` on Ctrl+Enter. Gives the
 * `element`, its `input`, `put(text)`, which replaces everything, and `select(start, end)`.
 */
export function editor({ label, text, help, complete, changed, run }) {
  const ids = { list: unique("list"), help: unique("help"), input: unique("code") };
  const keepFocus = (event) => event.preventDefault();
  const list = h("ul", { role: "listbox", id: ids.list, "aria-label": "Completions", tabindex: "0", hidden: true, onmousedown: keepFocus });
  const mirror = h("div", { class: "mirror", "aria-hidden": "true" });
  const mark = h("span", {});
  const told = h("div", { class: "unseen", role: "status" });
  const input = h("textarea", {
    class: "code", id: ids.input, spellcheck: "false", autocapitalize: "off", autocomplete: "off",
    "aria-autocomplete": "list", "aria-haspopup": "listbox", "aria-controls": ids.list, "aria-describedby": ids.help,
    oninput: typed, onkeydown: pressed, onblur: close, onclick: close, onscroll: lay,
  });
  let place = null; // what is offered, while the list is open
  let active = 0;
  let isTaking = false;

  /** Gives the mirror the text, by which the text area is as high, and the mark at `at`. */
  function reflect(at = 0) {
    mirror.replaceChildren(input.value.slice(0, at), mark, `${input.value.slice(at)}\n`);
  }

  /** Puts the list below the mark. */
  function lay() {
    list.style.top = `${mark.offsetTop + mark.offsetHeight - input.scrollTop}px`;
    list.style.left = `${Math.max(0, Math.min(mark.offsetLeft, mirror.offsetWidth - list.offsetWidth))}px`;
  }

  function typed(event) {
    reflect();
    changed();
    const isDeleting = event.inputType?.startsWith("delete") && !place;
    if (!isTaking && !isDeleting && !event.isComposing) offer();
  }

  /** Opens the list if there is anything to offer; unless it `isAsked` for only within a word. */
  function offer(isAsked = false) {
    const found = input.selectionStart === input.selectionEnd ? complete(input.value, input.selectionStart) : null;
    const isWord = found && (found.typed || found.isQuoted);
    const isWhole = found?.words.length === 1 && found.words[0].word === found.typed;
    if (found?.words.length && (isAsked || (isWord && !isWhole))) return show(found);
    close();
    if (isAsked) told.textContent = "Nothing to complete here.";
  }

  function show(found) {
    place = found;
    active = 0;
    list.replaceChildren(...found.words.map(option));
    list.hidden = false;
    told.textContent = `${found.words.length} completions`;
    choose(0);
    reflect(found.start);
    lay();
  }

  function option({ word, hint }, number) {
    return h("li", { role: "option", id: `${ids.list}-${number}`, onclick: () => take(number) },
      h("span", {}, word), hint && h("span", { class: "hint" }, hint));
  }

  function choose(number) {
    const options = list.children;
    options[active]?.removeAttribute("aria-selected");
    active = (number + options.length) % options.length;
    options[active].setAttribute("aria-selected", "true");
    options[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[active].id);
  }

  function close() {
    place = null;
    list.hidden = true;
    told.textContent = "";
    input.removeAttribute("aria-activedescendant");
  }

  function chosen() {
    take(active);
  }

  /** Puts a word in place of what is typed of it; where its value follows, that is offered next. */
  function take(number) {
    const { start, end, words } = place;
    const { puts } = words[number];
    const bar = puts.lastIndexOf("|");
    const [before, after] = [puts.slice(0, bar), puts.slice(bar + 1)];
    close();
    replace(start, end, before + after);
    input.setSelectionRange(start + before.length, start + before.length);
    if (after) offer(true);
  }

  /** Changes the text so that it can be undone. */
  function replace(start, end, by) {
    isTaking = true;
    input.focus();
    input.setSelectionRange(start, end);
    // No other way of changing a text keeps what Ctrl+Z undoes.
    if (!document.execCommand("insertText", false, by)) input.setRangeText(by, start, end, "end");
    isTaking = false;
    reflect();
    changed();
  }

  function pressed(event) {
    if (event.isComposing) return;
    const isControl = event.ctrlKey || event.metaKey;
    const isPlain = !isControl && !event.shiftKey && !event.altKey;
    const inList = { ArrowDown: () => choose(active + 1), ArrowUp: () => choose(active - 1), Enter: chosen, Tab: chosen, Escape: close };
    const act = isControl ? { Enter: run, " ": () => offer(true) }[event.key] : place && isPlain && inList[event.key];
    if (act) {
      event.preventDefault();
      act();
    } else if (/^(Arrow|Home|End|Page|Tab)/.test(event.key)) close();
  }

  input.value = text;
  reflect();
  return {
    element: h("div", {}, h("label", { for: ids.input }, label),
      h("div", { class: "editor" }, mirror, input, list, told), h("p", { class: "help", id: ids.help }, help)),
    input,
    put(whole) {
      replace(0, input.value.length, whole);
      input.setSelectionRange(0, 0);
    },
    select(start, end) {
      input.focus();
      input.setSelectionRange(start, end);
      reflect(start);
      input.scrollTop = mark.offsetTop - input.clientHeight / 2;
    },
  };
}
