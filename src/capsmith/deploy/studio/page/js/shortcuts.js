// What the keys and the buttons do.

import { byId } from "./dom.js";
import { keysOn, listen, switchKeys } from "./keys.js";
import { say } from "./notices.js";

const MOVES = {
  j: () => 1,
  k: () => -1,
  ArrowRight: () => 1,
  ArrowLeft: () => -1,
  ArrowDown: (grid, alone) => (alone ? 1 : grid.columns),
  ArrowUp: (grid, alone) => (alone ? -1 : -grid.columns),
  PageDown: (grid) => grid.page,
  PageUp: (grid) => -grid.page,
  Home: () => -Infinity,
  End: () => Infinity,
};
const NAMES = { a: "accept", Enter: "edit", " ": "open", f: "open", r: "reset", u: "undo", "/": "filter", "?": "keys" };

/** Fires "compare" with the number of an image that has two versions. */
export class Shortcuts extends EventTarget {
  constructor(studio) {
    super();
    Object.assign(this, studio);
    listen((name, event) => this.#key(name, event));
    byId("grid").addEventListener("click", (event) => this.#click(event));
    byId("grid").addEventListener("dblclick", ({ target }) => target.closest(".cell-picture") && this.act("open"));
    byId("export-open").addEventListener("click", this.exporting);
    byId("retrain-open").addEventListener("click", () => this.training.open());
    byId("keys-open").addEventListener("click", this.showKeys);
    for (const dialog of document.querySelectorAll("dialog.sheet"))
      dialog.addEventListener("click", ({ target, currentTarget }) => target === currentTarget && dialog.close());
  }

  /** Does what a key or a button stands for. @returns {boolean|void} true if that is nothing */
  act(action, number) {
    const act = this[`do_${action}`];
    return act ? act.call(this, number) : true;
  }

  /** Shows both versions of a caption. */
  compare(id) {
    if (this.saves.stateOf(id) === "conflict") this.dispatchEvent(new CustomEvent("compare", { detail: id }));
  }

  do_accept() {
    if (this.actions.accept(this.grid.image)) this.move(1);
  }

  do_edit() {
    if (this.grid.image && this.saves.stateOf(this.grid.image.id) === "conflict") this.compare(this.grid.image.id);
    else this.writing.begin();
  }

  do_open() {
    if (!this.grid.image) return;
    if (this.viewer.open) return this.viewer.close();
    this.writing.end();
    const { image } = this.grid;
    this.viewer.show(image, this.grid.saveOf(image), this.grid.current, this.listing.total);
  }

  do_close() {
    this.viewer.close();
  }

  do_next() {
    this.move(1);
  }

  do_previous() {
    this.move(-1);
  }

  do_take(number) {
    this.actions.take(this.grid.image, number);
  }

  do_reset() {
    this.actions.reset(this.grid.image);
  }

  do_undo() {
    const image = this.actions.undo();
    const place = image ? this.listing.placeOf(image.id) : -1;
    if (place >= 0) this.grid.show(place, { focus: !this.viewer.open });
  }

  do_filter() {
    if (this.viewer.open) this.viewer.close();
    byId("words").focus();
    byId("words").select();
  }

  do_keys() {
    this.showKeys();
  }

  do_compare() {
    const { image } = this.grid;
    const { state } = this.grid.saveOf(image);
    if (state === "conflict") this.compare(image.id);
    else if (state === "refused" || state === "draft") this.writing.begin();
  }

  /** Goes on by some images. */
  move(by) {
    const last = this.listing.images.length - 1;
    if (by === 1 && this.grid.current >= last) say("That was the last image.");
    this.grid.show(Math.max(0, Math.min(this.grid.current + by, last)), { focus: !this.viewer.open });
  }

  #key(name, { target }) {
    const open = document.querySelector("dialog[open]");
    if (open && !this.viewer.open) return true;
    const page = target === document.body || byId("grid").contains(target) || this.viewer.open;
    const arrow = name.length > 1 && name !== "Enter";
    if ((arrow || name === "Enter" || name === " ") && !page) return true;
    if (name in MOVES) return void this.move(MOVES[name](this.grid, this.viewer.open));
    if (/^[1-5]$/.test(name)) return this.act("take", Number(name));
    return name in NAMES ? this.act(NAMES[name]) : true;
  }

  #click({ target }) {
    const cell = target.closest(".cell");
    if (!cell || target.closest("textarea")) return;
    const place = this.listing.placeOf(Number(cell.dataset.id));
    this.grid.show(place);
    const { action } = target.closest("[data-action]")?.dataset ?? {};
    if (action === "open") {
      if (matchMedia("(hover: none)").matches) this.act("open"); // a finger has no double click
    } else if (action) this.act(action);
  }
}

/** Sets the list of keys up. @returns {() => void} what shows it */
export function keysDialog() {
  byId("keys-on").checked = keysOn();
  byId("keys-on").addEventListener("change", ({ target }) => switchKeys(target.checked));
  return () => byId("keys").showModal();
}
