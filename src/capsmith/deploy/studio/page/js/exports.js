// Writes the captions as files beside the images, or hands them over as a download.

import { byId, counted, make } from "./dom.js";
import { tableUrl, writeExports } from "./server.js";

/**
 * Sets the dialog up.
 * @param {() => {checked: number, open: number}} state how many captions were checked, and how many edits are not saved
 */
export function exportDialog(state) {
  const dialog = byId("export");
  const result = byId("export-result");
  const start = byId("export-start");
  byId("export-download").href = tableUrl();

  start.addEventListener("click", async () => {
    const formats = Array.from(dialog.querySelectorAll("input[name=format]:checked"), (box) => box.value);
    if (!formats.length) return show("alert", "Choose at least one kind of file.");
    start.disabled = true;
    show("note", "Writing …");
    try {
      const { files } = await writeExports(formats);
      show("note", files.length ? `Written: ${counted(files.length, "file")}` : "There was nothing to write.", files);
    } catch (error) {
      show("alert", error.message);
    } finally {
      start.disabled = false;
    }
  });

  function show(kind, text, files = []) {
    const shown = files.slice(0, 8).map((file) => make("li", {}, make("code", {}, make("bdi", {}, String(file.path ?? file)))));
    if (files.length > shown.length) shown.push(make("li", {}, `and ${counted(files.length - shown.length, "more file")}`));
    result.replaceChildren(make(`p.${kind}`, {}, text), ...(shown.length ? [make("ul.paths", {}, ...shown)] : []));
  }

  return () => {
    const { checked, open } = state();
    result.replaceChildren();
    byId("export-state").textContent = `You have checked ${counted(checked, "caption")}.${open ? ` ${counted(open, "edit")} not saved yet will be missing.` : ""}`;
    dialog.showModal();
  };
}
