// Notices: short messages at the edge of the page, and what a screen reader is told.

import { announce } from "../../js/announce.js";
import { byId, make } from "./dom.js";

export { announce as say };

const STAY = 6000; // milliseconds

/**
 * Shows a message for some seconds, or until it is closed if it needs an answer.
 * @param {string} text
 * @param {{label?: string, act?: () => void, stay?: boolean, key?: string}} options a button, and a key: a newer notice
 *   replaces an older one with the same key
 * @returns {() => void} what takes it away
 */
export function notify(text, { label, act, stay = false, key = "notice" } = {}) {
  const shelf = byId("notices");
  for (const old of [...shelf.children]) if (old.dataset.key === key) old.remove();
  const close = () => notice.remove();
  const click = () => (close(), act());
  const button = label && make("button.button.button-small", { type: "button", on: { click } }, label);
  const notice = make("div.notice", { data: { key } }, make("span", { dir: "auto" }, text), button || null);
  shelf.append(notice);
  announce(text);
  if (!stay) setTimeout(close, STAY);
  return close;
}
