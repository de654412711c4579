// Keys: single keys act while nobody is writing.

import { isWriting } from "./dom.js";

const SWITCH = "capsmith-studio:keys";

/** Says whether single keys are switched on: a person who dictates wants them off. */
export const keysOn = () => localStorage.getItem(SWITCH) !== "off";

/** Switches single keys on or off in this browser. */
export const switchKeys = (on) => localStorage.setItem(SWITCH, on ? "on" : "off");

/**
 * Calls what belongs to a key.
 * @param {(name: string, event: KeyboardEvent) => boolean|void} act gets the name of a key, such as "a", "1" or "ArrowDown";
 *   returns true if it did nothing with it
 */
export function listen(act) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
    const name = nameOf(event);
    if (name.length === 1 && !keysOn()) return;
    const pressed = event.target.closest("button, a, summary, input");
    if ((name === "Enter" || name === " ") && pressed) return;
    if (act(name, event) !== true) event.preventDefault();
  });
}

/** The name of a key. On a keyboard of another script, a letter goes by its place: ф on a Russian one is A. */
export function nameOf({ key, code }) {
  if (key.length > 1) return key;
  if (/^[\x20-\x7e]$/.test(key)) return key.toLowerCase();
  if (/^Key[A-Z]$/.test(code)) return code.at(-1).toLowerCase();
  if (/^(Digit|Numpad)\d$/.test(code)) return code.at(-1);
  return code === "Slash" ? "/" : key;
}
