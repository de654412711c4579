// The photographs that a search found: a dense grid, one stop of the Tab key, in which the arrow keys move.

import { make } from "./dom.js";
import { showPicture } from "./pictures.js";

const number = (value) => value.toFixed(2);

/** The score by which a search ranks: of words BM25, of a phrase the meaning, else what was asked for. */
export function scoreOf(hit, query, by) {
  if (query === "words") return hit.words ?? 0;
  if (query === "text") return hit.semantic ?? 0;
  return by === "both" ? ((hit.semantic ?? 0) + (hit.visual ?? 0)) / 2 : (hit[by] ?? 0);
}

export class Hits {
  /**
   * @param {HTMLElement} list
   * @param {function(Object): void} choose gets the hit that becomes the next query
   */
  constructor(list, choose) {
    this.list = list;
    this.choose = choose;
    this.rows = [];
    list.addEventListener("keydown", (event) => this.move(event));
  }

  /** Shows hits, each with its `score`. */
  show(hits) {
    this.rows = hits.map((hit) => ({ hit, node: make("li", {}, this.button(hit)) }));
    this.list.replaceChildren(...this.rows.map(({ node }) => node));
    this.stop(this.rows[0]?.node);
  }

  button(hit) {
    const { name, caption, duplicates: copies } = hit;
    const scores = [["meaning", hit.semantic], ["look", hit.visual], ["words", hit.words]].filter(([, value]) => value !== null);
    const said = [name, caption, ...scores.map(([what, value]) => `${what} ${number(value)}`), copies.length && `${copies.length} more like it`];
    const image = make("img", { alt: "", loading: "lazy", decoding: "async" });
    const frame = make("span", { class: "hit-frame" }, image);
    image.addEventListener("error", () => (image.hidden = true));
    showPicture(image, hit.thumbnail);
    return make(
      "button",
      {
        type: "button",
        class: "hit",
        tabindex: -1,
        title: [name, caption, ...copies.map((copy) => `= ${copy}`)].filter(Boolean).join("\n"),
        "aria-label": `${said.filter(Boolean).join(", ")}. Find what is like it.`,
        data: { id: hit.id, name },
        on: { click: () => this.choose(hit) },
      },
      frame,
      copies.length ? make("span", { class: "hit-copies", "aria-hidden": "true" }, `+ ${copies.length}`) : null,
      make("span", { class: "hit-scores", "aria-hidden": "true" }, ...scores.map(([what, value]) => make("span", {}, `${what} `, make("b", {}, number(value))))),
    );
  }

  /** Hides what has a lower score; returns how many are left. */
  filter(least) {
    this.rows.forEach(({ hit, node }) => (node.hidden = hit.score < least));
    const left = this.visible;
    if (!left.some((node) => node.firstChild.tabIndex === 0)) this.stop(left[0]);
    return left.length;
  }

  get visible() {
    return this.rows.map(({ node }) => node).filter((node) => !node.hidden);
  }

  /** Makes one the stop of the Tab key. */
  stop(node) {
    this.rows.forEach((row) => (row.node.firstChild.tabIndex = row.node === node ? 0 : -1));
  }

  focus() {
    this.visible[0]?.firstChild.focus();
  }

  move(event) {
    const nodes = this.visible;
    const here = nodes.indexOf(event.target.closest("li"));
    if (here < 0) return;
    const columns = nodes.filter((node) => node.offsetTop === nodes[0].offsetTop).length;
    const back = getComputedStyle(this.list).direction === "rtl" ? "ArrowRight" : "ArrowLeft";
    const steps = { ArrowLeft: 1, ArrowRight: 1, [back]: -1, ArrowDown: columns, ArrowUp: -columns, Home: -here, End: nodes.length - 1 - here };
    const to = here + (steps[event.key] ?? NaN);
    if (Number.isNaN(to)) return;
    event.preventDefault();
    if (to < 0 || to >= nodes.length) return;
    this.stop(nodes[to]);
    nodes[to].firstChild.focus();
  }
}
