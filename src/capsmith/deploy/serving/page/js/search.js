// The view "Search": a phrase or a photograph finds photographs, and each of them can be the next query.

import { announce } from "./announce.js";
import { button, make } from "./dom.js";
import * as api from "./finding_api.js";
import { Hits, scoreOf } from "./hits.js";
import { IndexTools } from "./index_tools.js";
import { showPicture } from "./pictures.js";

const TOP = 60;
const MOST = 200;
const element = (id) => document.getElementById(id);

export class Search {
  skip = "hits";
  drop = "Drop to find what is like it";

  /**
   * @param {function(Object): void} go shows the view with other parameters
   * @param {function(Error): void} failed hears errors that concern the whole page, such as a missing key
   */
  constructor(go, failed) {
    this.go = go;
    this.failed = failed;
    this.offered = null; // null: not known yet
    this.uploads = []; // photographs that were queries, by the number in the address
    this.top = TOP;
    this.tools = new IndexTools(() => this.change({}), () => this.run(), (error) => this.fail(error));
    this.hits = new Hits(element("hits"), (hit) => this.ask({ like: hit.id }));
    this.listen();
  }

  listen() {
    element("search-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = element("query").value.replace(/\s+/g, " ").trim();
      if (text) this.ask({ [element("search-words").checked && !element("words-choice").hidden ? "words" : "text"]: text });
    });
    element("query-image").addEventListener("change", ({ target }) => {
      const files = [...target.files];
      target.value = "";
      this.take(files);
    });
    element("threshold").addEventListener("input", () => this.filter());
    element("more").addEventListener("click", () => {
      this.top = MOST;
      this.run();
    });
    element("search-by").addEventListener("change", () => this.change({ by: this.by }));
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest?.("input, textarea, select");
      if (event.key !== "/" || typing || !this.isShown || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      element("query").focus();
    });
  }

  get isShown() {
    return Boolean(element("search-form").offsetParent);
  }

  get by() {
    return element("search-form").closest("[data-view]").querySelector("[name=by]:checked").value;
  }

  offer(indexes) {
    this.offered = indexes;
    this.tools.offer(indexes);
    this.arrange();
    if (this.parameters) this.show(this.parameters);
  }

  arrange() {
    const nothing = this.offered?.length === 0;
    element("search-missing").hidden = !nothing;
    document.querySelectorAll("[data-view=search] [data-offered]").forEach((part) => (part.hidden = nothing));
    if (this.offered === null) element("found").textContent = "The index is loading …";
  }

  /** A photograph becomes the query. */
  take([file]) {
    if (file) this.ask({ image: this.uploads.push(file) });
  }

  /** Goes to a query; the index and what is compared stay. */
  ask(query) {
    this.go({ ...this.kept(), ...query });
  }

  change(more) {
    const { text, words, like, image } = Object.fromEntries(this.parameters);
    const query = Object.entries({ text, words, image, like: more.by ? like : undefined }).filter(([, value]) => value);
    this.go({ ...this.kept(), ...Object.fromEntries(query), ...more });
  }

  kept() {
    const index = this.tools.all.length > 1 ? { index: this.tools.name } : {};
    return { ...index, ...(this.by === "visual" ? {} : { by: this.by }) };
  }

  show(parameters) {
    this.parameters = parameters;
    this.arrange();
    if (!this.offered?.length) return;
    if (parameters.get("index")) this.tools.choose(parameters.get("index"));
    const by = document.querySelector(`[name=by][value="${CSS.escape(parameters.get("by") ?? "visual")}"]`);
    if (by) by.checked = true;
    this.top = TOP;
    this.run();
  }

  /** The query of the address: its kind, and what the API gets; null if there is none. */
  query() {
    const get = (name) => this.parameters.get(name);
    if (get("text")) return { kind: "text", query: { text: get("text") } };
    if (get("words")) return { kind: "words", query: { words: get("words") } };
    if (/^[0-9]{1,15}$/.test(get("like") ?? "")) return { kind: "like", query: { like: Number(get("like")) } };
    if (get("image")) return { kind: "image", query: { image: this.uploads[Number(get("image")) - 1] } };
    return null;
  }

  async run() {
    this.stop?.abort();
    const found = this.query();
    this.asked(found);
    if (!found || (found.kind === "image" && !found.query.image)) {
      this.hits.show([]);
      this.arrangeHits([], found);
      element("found").textContent = found ? "That photograph is not in this tab any more. Choose it again." : "";
      return;
    }
    const { kind, query } = found;
    const stop = (this.stop = new AbortController());
    element("hits").setAttribute("aria-busy", "true");
    const alike = kind === "image" || kind === "like" ? { by: this.by } : {};
    try {
      const answer = await api.search(query, { index: this.tools.name, top: this.top, ...alike }, stop.signal);
      if (stop === this.stop) this.list(answer, kind);
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
    } finally {
      if (stop === this.stop) element("hits").removeAttribute("aria-busy");
    }
  }

  /** Shows the query: a phrase in the box, a photograph below it. */
  asked(found) {
    const { kind, query } = found ?? {};
    const isPicture = kind === "like" || (kind === "image" && Boolean(query.image));
    element("query").value = query?.text ?? query?.words ?? "";
    element("search-words").checked = kind === "words";
    element("search-by").hidden = !isPicture;
    element("asked").hidden = !isPicture;
    URL.revokeObjectURL(this.url);
    if (!isPicture) return element("asked").replaceChildren();
    const image = make("img", { alt: "The query" });
    if (kind === "like") showPicture(image, `/v1/indexes/${encodeURIComponent(this.tools.name)}/images/${query.like}/picture`);
    else image.src = this.url = URL.createObjectURL(query.image);
    image.addEventListener("error", () => (image.hidden = true));
    const clear = button("New search", { look: "button-small", picture: "close" }, () => {
      this.go({});
      element("query").focus();
    });
    const what = kind === "like" ? "Photographs like this one" : `Photographs like ${query.image.name || "this one"}`;
    return element("asked").replaceChildren(image, make("div", {}, make("p", {}, what), clear));
  }

  list(answer, kind) {
    const hits = answer.results.map((hit) => ({ ...hit, score: scoreOf(hit, kind, this.by) }));
    this.unknown = answer.unknown_words;
    this.hits.show(hits);
    this.arrangeHits(hits, { kind });
    this.filter();
    announce(element("found").textContent);
  }

  arrangeHits(hits, found) {
    const scores = hits.map(({ score }) => score);
    const slider = element("threshold");
    element("threshold-choice").hidden = hits.length < 2 || found?.kind === "words";
    [slider.min, slider.max] = [Math.min(...scores, 1), Math.max(...scores, 0)].map((score) => score.toFixed(3));
    slider.min = (Math.min(...scores, 1) - 0.0005).toFixed(3);
    slider.value = slider.min;
    element("more").hidden = hits.length < this.top || this.top === MOST;
  }

  /** The slider: only what has at least this score. */
  filter() {
    const slider = element("threshold");
    const isOn = Number(slider.value) > Number(slider.min);
    const left = this.hits.filter(isOn ? Number(slider.value) : -Infinity);
    element("threshold-value").textContent = isOn ? Number(slider.value).toFixed(2) : "any";
    const all = this.hits.rows.length;
    const count = left === all ? `${all}` : `${left} of ${all}`;
    const unknown = this.unknown?.length ? ` The model does not know: ${this.unknown.join(", ")}.` : "";
    element("found").textContent = `${all ? `${count} photograph${count === "1" ? "" : "s"}, the best first.` : "Nothing was found."}${unknown}`;
  }

  fail(error) {
    this.hits.show([]);
    element("found").textContent = error.message;
    announce(error.message);
    this.failed(error);
  }
}
