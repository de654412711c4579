// Two versions of a caption: the person decides.

import { byId } from "./dom.js";

/**
 * Shows both versions of a caption that was changed in two windows.
 * @param {Object} entry of Saves, in conflict
 * @param {(choice: "mine"|"theirs") => void} settle
 */
export function compare(entry, settle) {
  const dialog = byId("conflict");
  byId("conflict-name").textContent = entry.name;
  byId("conflict-mine").textContent = entry.caption;
  byId("conflict-theirs").textContent = entry.theirs.caption || "(no caption)";
  dialog.returnValue = "";
  dialog.addEventListener("close", () => dialog.returnValue && settle(dialog.returnValue), { once: true });
  dialog.showModal();
}
