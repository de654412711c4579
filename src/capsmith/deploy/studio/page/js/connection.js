// While the server is away: says so, keeps trying, and saves what waited as soon as it is back.

import { byId, counted, setText } from "./dom.js";
import { notify, say } from "./notices.js";

/** Watches the saves and the progress. */
export function connect({ saves, progress, drafts, refresher, listing }) {
  let away = false;

  const show = () => {
    const gone = byId("gone");
    gone.hidden = !away;
    if (!away) return;
    const kept = "kept in this window, and saved when it is back.";
    const rest = saves.open
      ? `${counted(saves.open, "edit")} not saved yet: ${kept}`
      : `You can go on: edits are ${kept}`;
    setText(gone, `${saves.trouble} ${rest}`);
  };
  const change = (now) => {
    const back = away && !now;
    away = now;
    show();
    if (!back) return;
    notify("The server is back.");
    saves.send();
    refresher.all();
  };

  saves.addEventListener("connection", () => change(!saves.connected));
  saves.addEventListener("change", ({ detail: { id, image } }) => {
    show();
    if (image) say("Saved.");
    else if (saves.stateOf(id) === "refused")
      notify(`Not saved: ${saves.entries.get(id).reason}`, { key: `refused-${id}` });
  });
  progress.addEventListener("gone", () => change(true));
  progress.addEventListener("change", () => {
    if (saves.connected || !saves.open) change(false);
    if (saves.open) saves.send();
    if (!listing.complete) refresher.all();
  });
  addEventListener("online", () => saves.send());
  addEventListener("beforeunload", (event) => {
    if (saves.open || drafts.drafts.size) event.preventDefault(); // closing the window would lose them
  });
}
