// Writing a caption: in the grid, or in the large view when it is open.

import { Editor } from "./editor.js";
import { say } from "./notices.js";

export class Writing {
  constructor({ drafts, listing, grid, actions, viewer, saves }) {
    Object.assign(this, { drafts, listing, grid, actions, viewer, saves });
    saves.addEventListener("change", ({ detail: { id, image } }) => image && this.#rebase(id, image.revision));
    grid.addEventListener("rebuilding", () => this.#pause());
    grid.addEventListener("rebuilt", () => this.#goOn());
  }

  /** The number of the image whose caption is being written. */
  get id() {
    return this.editor?.image.id;
  }

  /** Opens a field for the current image, with what was written before and not finished. */
  begin() {
    const { image, cell } = this.grid;
    if (!image || this.id === image.id) return;
    this.end();
    const host = this.viewer.open ? this.viewer.panel.host : cell.node.querySelector(".cell-words");
    const text = this.drafts.textOf(image) ?? image.caption;
    this.base = this.drafts.revisionOf(image) ?? image.revision; // on what the person saw
    this.editor = new Editor(host, image, text, {
      draft: (written) =>
        written === image.caption ? this.drafts.drop(image.id) : this.drafts.keep(image, written, this.base),
      save: (written, next) => this.#save(image, written, next),
      cancel: (focus) => this.#cancel(image, focus),
    });
  }

  /** Closes the field; what was written and not saved stays a draft. */
  end() {
    const { editor } = this;
    if (!editor) return;
    this.editor = undefined;
    editor.close();
    this.grid.update(editor.image.id);
  }

  /** After a reload: opens the field again that was open. */
  resume() {
    const last = [...this.drafts.drafts.keys()].at(-1);
    const place = last === undefined ? -1 : this.listing.placeOf(last);
    if (place < 0 || this.drafts.textOf(this.listing.at(place)) === undefined) return;
    this.grid.show(place);
    this.begin();
    say("Your unfinished caption is here again.");
  }

  /** An earlier edit of this window was saved: what is being written is based on it. */
  #rebase(id, revision) {
    this.drafts.rebase(id, revision);
    if (this.id === id) this.base = revision;
  }

  /** The grid is built anew under the field: what was written is a draft. */
  #pause() {
    this.paused = this.viewer.open ? undefined : this.id;
    if (this.paused) this.end();
  }

  #goOn() {
    if (this.paused && this.paused === this.grid.image?.id) this.begin();
    this.paused = undefined;
  }

  /** @param {"next"|"stay"|"left"} then where the focus goes */
  #save(image, text, then) {
    this.drafts.drop(image.id);
    this.end();
    image.revision = Math.min(image.revision, this.base); // a change made meanwhile in another window is a conflict
    this.actions.write(image, text);
    if (then === "next") this.grid.show(this.grid.current + 1, { focus: false });
    if (then !== "left") this.#focus();
  }

  #cancel(image, focus = true) {
    this.drafts.drop(image.id);
    this.end();
    if (focus) this.#focus();
  }

  #focus() {
    if (this.viewer.open) this.viewer.dialog.focus();
    else this.grid.show(this.grid.current);
  }
}
