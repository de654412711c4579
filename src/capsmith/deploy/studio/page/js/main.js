// The studio: puts its parts together.

import { Actions } from "./actions.js";
import { compare } from "./conflict.js";
import { Details } from "./details.js";
import { byId, counted, setText } from "./dom.js";
import { Drafts } from "./drafts.js";
import { exportDialog } from "./exports.js";
import { Grid } from "./grid.js";
import { Listing } from "./listing.js";
import { notify } from "./notices.js";
import { Panel } from "./panel.js";
import { Progress } from "./progress.js";
import { Query } from "./query.js";
import { readProgress } from "./server.js";
import { Saves } from "./saves.js";
import { connect } from "./connection.js";
import { Refresher } from "./refresher.js";
import { keysDialog, Shortcuts } from "./shortcuts.js";
import { Training } from "./training.js";
import { Viewer } from "./viewer.js";
import { Writing } from "./writing.js";

const WIDE = matchMedia("(min-width: 72rem)");

/** Asks for the project until the server answers: it may still be starting. */
async function project() {
  for (;;) {
    try {
      const found = await readProgress();
      byId("gone").hidden = true;
      return found;
    } catch (error) {
      setText(byId("gone"), `${error.message} This page tries again.`);
      byId("gone").hidden = false;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

async function begin() {
  const first = await project();
  setText(byId("folder"), first.folder ?? "");
  document.title = first.folder ? `${first.folder} · capsmith studio` : "capsmith studio";

  const name = first.project ?? first.folder ?? "";
  const drafts = new Drafts(name);
  const saves = new Saves(drafts);
  const listing = new Listing(saves);
  const details = new Details();
  const actions = new Actions(saves, listing, details);
  const progress = new Progress(first);
  const saveOf = ({ id }) => saves.entries.get(id) ?? { state: drafts.drafts.has(id) ? "draft" : "saved" };
  const grid = new Grid(byId("grid"), listing, saveOf);
  const studio = { drafts, saves, listing, details, actions, progress, grid };

  const act = (action, number) => shortcuts.act(action, number);
  const side = new Panel(byId("side"), details, act);
  const viewer = new Viewer(details, act);
  const writing = new Writing({ ...studio, viewer });
  const training = new Training(() => progress.now);
  const exporting = exportDialog(progress, saves);
  const query = new Query({ listing, grid, name });
  const shortcuts = new Shortcuts({ ...studio, viewer, writing, query, exporting, training, showKeys: keysDialog() });
  const refresher = new Refresher({ ...studio, writing, query, show });

  /** Shows the current image beside the grid and in the large view. */
  function show() {
    const { image } = grid;
    byId("side").hidden = !image || !WIDE.matches;
    if (!image) return;
    const what = [image, saveOf(image), grid.current, listing.total];
    if (viewer.open) viewer.show(...what);
    else if (WIDE.matches) side.show(...what);
  }

  grid.addEventListener("current", show);
  WIDE.addEventListener("change", show);
  viewer.addEventListener("close", () => (writing.end(), grid.show(grid.current), show()));
  listing.addEventListener("change", ({ detail }) => {
    byId("side").hidden = !(WIDE.matches && listing.images.length); // before the grid measures its width
    grid.refresh(detail.fresh);
    query.restore(detail.fresh);
    show();
  });
  saves.addEventListener("change", ({ detail: { id, image } }) => {
    if (image) listing.update(image);
    grid.update(id);
    if (grid.image?.id === id) show();
    if (image) progress.soon();
    if (saves.stateOf(id) === "conflict")
      notify(`${saves.entries.get(id).name} was changed in another window.`, {
        label: "Compare",
        act: () => shortcuts.compare(id),
        stay: true,
        key: `conflict-${id}`,
      });
  });
  shortcuts.addEventListener("compare", ({ detail }) =>
    compare(saves.entries.get(detail), (choice) => saves.settle(detail, choice)),
  );
  connect({ ...studio, refresher });
  await query.find();
  saves.send();
  writing.resume();
  if (saves.open) notify(`${counted(saves.open, "edit")} from before the reload: saving again.`);
  document.body.dataset.ready = "";
}

begin();
