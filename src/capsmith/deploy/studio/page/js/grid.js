// The grid: only the rows near the window exist, so five thousand images scroll like fifty.

import { Cell } from "./cell.js";
import { make } from "./dom.js";

const AHEAD = 3; // rows kept above and below the window
const SIZES = { small: 9.5, medium: 13, large: 21 }; // least width of a cell in rem
const GAP = 0.75; // rem
const WORDS = { small: 6.4, medium: 6.4, large: 6.4 }; // height of what stands below a picture in rem
const SHAPE = 0.7; // height of a picture by its width
const REST = 70; // milliseconds of standstill until pictures are loaded

export class Grid extends EventTarget {
  /**
   * @param {HTMLElement} root element with role=grid
   * @param {Listing} listing
   * @param {(image) => {state: string, reason?: string}} saveOf how an image is saved
   */
  constructor(root, listing, saveOf) {
    super();
    Object.assign(this, {
      root,
      listing,
      saveOf,
      rows: new Map(),
      cells: new Map(),
      current: 0,
      size: "medium",
      columns: 1,
      rowHeight: 1,
    });
    new ResizeObserver(() => this.#measure()).observe(root);
    addEventListener("scroll", () => this.#soon(), { passive: true });
  }

  get image() {
    return this.listing.at(this.current);
  }

  get cell() {
    return this.image && this.cells.get(this.image.id);
  }

  /** Changes the size of the cells; the current image stays in view. */
  resize(size) {
    this.size = size in SIZES ? size : "medium";
    this.#measure(true);
    this.show(this.current, { focus: false });
  }

  /** Shows the listing anew: after a query, or when more of it has arrived. */
  refresh(fresh) {
    if (fresh) this.#clear();
    this.current = Math.min(this.current, Math.max(0, this.listing.images.length - 1));
    this.root.hidden = !this.listing.images.length;
    this.#measure(true);
  }

  /** Shows an image again, after a change. */
  update(id) {
    const image = this.listing.get(id);
    if (image) this.cells.get(id)?.show(image, this.saveOf(image));
  }

  /** Makes an image the current one and brings it into view. */
  show(index, { focus = true, top = false } = {}) {
    const { length } = this.listing.images;
    if (!length) return;
    const before = this.image;
    this.current = Math.max(0, Math.min(index, length - 1));
    this.#scrollTo(Math.floor(this.current / this.columns), top);
    this.render();
    if (before) this.cells.get(before.id)?.select(false);
    this.cell?.select(true);
    if (focus) this.cell?.node.focus({ preventScroll: true });
    if (before !== this.image || this.announced !== this.image?.id) {
      this.announced = this.image?.id;
      this.dispatchEvent(new Event("current"));
    }
  }

  /** @returns {number} images on one screen, at least one row. */
  get page() {
    return Math.max(1, Math.floor((innerHeight - this.#covered()) / this.rowHeight)) * this.columns;
  }

  /** @returns {Object[]} the images on the screen. */
  get visible() {
    const [first, last] = this.#range(0);
    return this.listing.images.slice(first * this.columns, (last + 1) * this.columns);
  }

  /** Makes the rows near the window exist, and no others but the one with the current image. */
  render() {
    const [first, last] = this.#range(AHEAD);
    const pinned = Math.floor(this.current / this.columns);
    for (const [row, node] of this.rows) if ((row < first || row > last) && row !== pinned) this.#remove(row, node);
    for (let row = first; row <= last; row++) this.#ensure(row);
    if (this.listing.images.length) this.#ensure(pinned);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.#load(), this.loaded ? REST : 0);
  }

  #load() {
    this.loaded = true;
    const [first, last] = this.#range(1);
    const near = this.listing.images.slice(first * this.columns, (last + 1) * this.columns);
    for (const image of near) this.cells.get(image.id)?.load();
    this.dispatchEvent(new Event("rest"));
  }

  #measure(force = false) {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const width = this.root.clientWidth;
    if (!width) return;
    const least = Math.min(SIZES[this.size] * rem, width);
    const columns = Math.max(1, Math.floor((width + GAP * rem) / (least + GAP * rem)));
    const cell = (width - (columns - 1) * GAP * rem) / columns;
    const picture = Math.round(cell * SHAPE);
    const rowHeight = picture + (WORDS[this.size] + GAP) * rem;
    const moved = columns !== this.columns;
    if (!force && !moved && rowHeight === this.rowHeight) return;
    Object.assign(this, { columns, rowHeight });
    this.root.style.setProperty("--columns", columns);
    this.root.style.setProperty("--picture", `${picture}px`);
    this.root.style.setProperty("--words", `${WORDS[this.size]}rem`);
    this.root.style.setProperty("--gap", `${GAP}rem`);
    this.root.style.height = `${Math.ceil(this.listing.images.length / columns) * rowHeight - GAP * rem}px`;
    this.root.setAttribute("aria-rowcount", Math.ceil(this.listing.images.length / columns));
    this.root.setAttribute("aria-colcount", columns);
    const focused = this.root.contains(document.activeElement);
    if (moved) this.#removeAll();
    for (const [row, node] of this.rows) this.#place(row, node);
    this.render();
    if (moved) this.#rebuilt(focused);
  }

  /** After a change of the columns: the current image stays in view and keeps the focus. */
  #rebuilt(focused) {
    if (focused) this.show(this.current);
    this.dispatchEvent(new Event("rebuilt"));
  }

  #ensure(row) {
    if (this.rows.has(row)) return this.#fill(row, this.rows.get(row));
    const node = make("div.row", { role: "row", "aria-rowindex": row + 1 });
    this.rows.set(row, node);
    this.#place(row, node);
    this.#fill(row, node);
    const after = [...this.rows.keys()].filter((other) => other > row).sort((a, b) => a - b)[0];
    this.root.insertBefore(node, this.rows.get(after) ?? null); // the order of the document is that of the screen
  }

  #fill(row, node) {
    const images = this.listing.images.slice(row * this.columns, (row + 1) * this.columns);
    for (const image of images.slice(node.childElementCount)) {
      const cell = new Cell(image);
      this.cells.set(image.id, cell);
      cell.node.setAttribute("aria-colindex", node.childElementCount + 1);
      cell.show(image, this.saveOf(image));
      cell.select(image === this.image);
      node.append(cell.node);
    }
  }

  #place(row, node) {
    node.style.transform = `translateY(${row * this.rowHeight}px)`;
  }

  #remove(row, node) {
    for (const cell of node.children) this.cells.delete(Number(cell.dataset.id));
    node.remove();
    this.rows.delete(row);
  }

  #removeAll() {
    this.dispatchEvent(new Event("rebuilding")); // a field must close before it loses its place
    for (const [row, node] of this.rows) this.#remove(row, node);
  }

  #clear() {
    this.#removeAll();
    this.current = 0;
  }

  #range(margin) {
    const top = this.root.getBoundingClientRect().top;
    const last = Math.ceil(this.listing.images.length / this.columns) - 1;
    const first = Math.floor(-top / this.rowHeight) - margin;
    const end = Math.floor((innerHeight - top) / this.rowHeight) + margin;
    return [Math.max(0, Math.min(first, last)), Math.max(-1, Math.min(end, last))];
  }

  /** The height that the header covers. */
  #covered() {
    return document.querySelector(".bar").getBoundingClientRect().height;
  }

  #scrollTo(row, top) {
    const start = this.root.getBoundingClientRect().top + row * this.rowHeight;
    const covered = this.#covered();
    if (top || start < covered + 8) scrollBy({ top: start - covered - 12, behavior: "instant" });
    else if (start + this.rowHeight > innerHeight)
      scrollBy({ top: start + this.rowHeight - innerHeight + 4, behavior: "instant" });
  }

  #soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.render();
    });
  }
}
