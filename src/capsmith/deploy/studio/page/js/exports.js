// Writes the captions as files, or hands them over as a download.

import { byId, count, counted, make, setText } from "./dom.js";
import { tableUrl, writeExports } from "./server.js";

const FOLDERS = { images: "in the folder of the images", project: "in the folder “exports” of the project" };

/**
 * Sets the dialog up.
 * @param {Progress} progress
 * @param {Saves} saves
 * @returns {() => void} what shows it
 */
export function exportDialog(progress, saves) {
  const dialog = byId("export");
  const result = byId("export-result");
  const start = byId("export-start");
  byId("export-download").href = tableUrl();

  start.addEventListener("click", async () => {
    const formats = Array.from(dialog.querySelectorAll("input[name=format]:checked"), (box) => box.value);
    if (!formats.length) return result.replaceChildren(make("p.alert", {}, "Choose at least one kind of file."));
    start.disabled = true;
    result.replaceChildren(make("p.note", {}, "Writing …"));
    try {
      result.replaceChildren(...said(await writeExports(formats)));
    } catch (error) {
      result.replaceChildren(make("p.alert", {}, error.message));
    } finally {
      start.disabled = false;
    }
    return undefined;
  });

  const show = () => {
    const rest = Math.max(0, progress.now.captioned - progress.checked);
    const all = counted(progress.now.captioned, "caption");
    const unsaved = saves.open ? ` ${counted(saves.open, "edit")} not saved yet will be missing.` : "";
    const parts = `${count(progress.checked)} checked by you, ${count(rest)} as the model proposed.`;
    setText(byId("export-state"), `${all}: ${parts}${unsaved}`);
  };
  progress.addEventListener("change", show);

  return () => {
    show();
    progress.ask();
    result.replaceChildren();
    dialog.showModal();
  };
}

/** Says what was written and where. */
function said({ files = [], folder, folder_path: path, kept = 0, kept_files: keptFiles = [], failed = [] }) {
  const place = path ? make("code", {}, make("bdi", {}, path)) : (FOLDERS[folder] ?? "");
  const parts = [
    make("p.written", {}, make("strong", {}, files.length ? "Written " : "Nothing was written "), place),
    list(files),
  ];
  if (kept) parts.push(make("p.note", {}, `Kept, because capsmith did not write ${kept === 1 ? "it" : "them"}:`));
  if (kept) parts.push(list(keptFiles));
  if (failed.length) parts.push(make("p.alert", {}, "Some files cannot be written:"), list(failed));
  return parts;
}

const list = (lines) => make("ul.paths", {}, ...lines.map((line) => make("li", {}, make("bdi", {}, line))));
