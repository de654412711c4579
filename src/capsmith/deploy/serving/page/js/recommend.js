// The view "Recommend": captions of a library for one photograph.

import { announce, copy } from "./announce.js";
import { button, make } from "./dom.js";
import * as api from "./finding_api.js";
import { example } from "./intake.js";
import { LibraryEditor } from "./library_editor.js";
import { MOST } from "./library_file.js";
import { fitting } from "./shrink.js";

const element = (id) => document.getElementById(id);

export class Recommend {
  skip = "recommended-part";
  drop = "Drop to find captions";

  /** @param {function(Error): void} failed hears errors that concern the whole page, such as a missing key */
  constructor(failed) {
    this.failed = failed;
    this.libraries = null; // null: not known yet
    this.file = null;
    this.editor = new LibraryEditor(() => this.ask());
    this.form = element("recommend-options");
    this.form.addEventListener("change", () => this.ask());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    element("recommend-file").addEventListener("change", ({ target }) => {
      const files = [...target.files];
      target.value = "";
      this.take(files);
    });
    element("library-name").addEventListener("change", ({ target }) => this.open(target.value));
    document.querySelectorAll("[data-recommend]").forEach((one) => one.addEventListener("click", () => this.example(one)));
  }

  /** Gets what the server offers. */
  offer(libraries) {
    this.libraries = libraries;
    element("library-choice").hidden = libraries.length < 2;
    element("library-name").replaceChildren(...libraries.map(({ name }) => make("option", { value: name }, name)));
    this.arrange();
    if (this.shown) this.begin();
  }

  arrange() {
    const nothing = this.libraries?.length === 0;
    element("recommend-missing").hidden = !nothing;
    document.querySelectorAll("[data-view=recommend] [data-offered]").forEach((part) => (part.hidden = nothing));
    if (this.libraries === null) this.state("The library is loading …");
  }

  show() {
    this.shown = true;
    this.arrange();
    if (this.libraries?.length) this.begin();
  }

  async begin() {
    if (this.begun || !this.libraries.length) return;
    this.begun = true;
    await this.open(this.libraries[0].name);
    if (!this.file) this.example(document.querySelector("[data-recommend]"));
  }

  async open(name) {
    try {
      this.editor.open(await api.library(name));
      this.ask();
    } catch (error) {
      this.fail(error);
    }
  }

  async example(choice) {
    this.take([await example(choice.dataset.recommend)]);
  }

  take([file]) {
    if (!file) return;
    this.file = file;
    const image = element("recommend-image");
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    image.hidden = false;
    image.onerror = () => (image.hidden = true); // a format of the server's that the browser cannot show
    element("recommend-name").textContent = file.name || "photograph";
    this.ask();
  }

  state(text) {
    element("recommend-state").textContent = text;
  }

  fields() {
    const { top, theme, correction, diverse } = this.form.elements;
    const themes = this.editor.themes;
    const chosen = themes.includes(theme.value) ? theme.value : "";
    theme.replaceChildren(...["", ...themes].map((one) => make("option", { value: one, selected: one === chosen }, one || "All")));
    return {
      top: Number(top.value),
      ...(chosen ? { theme: chosen } : {}),
      ...(correction.value ? { correction: correction.value } : {}),
      ...(diverse.checked ? { diverse: true } : {}),
      ...(this.editor.edited ? { captions: this.editor.captions } : { library: this.editor.name }),
    };
  }

  /** Asks for captions; an answer that is not wanted any more is dropped. */
  async ask() {
    const fields = this.fields();
    if (!this.file) return;
    if (fields.captions?.length === 0) return this.state("The library is empty.");
    if (fields.captions?.length > MOST) return this.state(`A changed library can have ${MOST.toLocaleString("en")} captions. Start the server with a longer one: --captions`);
    this.stop?.abort();
    const stop = (this.stop = new AbortController());
    const list = element("recommended");
    list.setAttribute("aria-busy", "true");
    if (!list.children.length) this.state("Looking …");
    try {
      const answer = await this.sent(fields, stop.signal);
      if (stop === this.stop) this.list(answer);
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
    } finally {
      if (stop === this.stop) list.removeAttribute("aria-busy");
    }
    return undefined;
  }

  async sent(fields, signal) {
    const { answer, file } = await fitting(this.file, (one) => api.recommend(one, fields, signal));
    this.file = file;
    return answer;
  }

  list({ recommendations, notes }) {
    const most = Math.max(...recommendations.map(({ similarity }) => similarity), 0.01);
    const items = recommendations.map((one) => this.item(one, Math.max(0, one.similarity / most)));
    element("recommended").replaceChildren(...items);
    element("recommended").dataset.photo = this.file.name;
    const captions = recommendations.map(({ caption }) => caption);
    this.editor.mark(captions);
    this.state(captions.length ? "" : "No caption fits.");
    element("recommend-notes").hidden = !notes.length;
    element("recommend-notes").textContent = notes.join(" ");
    const said = captions.slice(0, 5).join("; ");
    if (said !== this.said) announce(captions.length ? `Captions: ${said}` : "No caption fits");
    this.said = said;
  }

  item({ caption, similarity, theme }, part) {
    const copies = button("Copy", { look: "button-small copy-recommended", picture: "copy", label: `Copy: ${caption}` }, () => copy(caption, "Caption", copies));
    return make(
      "li",
      {},
      make("p", { class: "caption", dir: "auto" }, caption),
      copies,
      make(
        "div",
        { class: "similarity" },
        make("span", { class: "similarity-bar", "aria-hidden": "true", vars: { part } }),
        make("span", { class: "number" }, make("span", { class: "visually-hidden" }, "Similarity "), similarity.toFixed(3)),
        theme ? make("span", {}, theme) : null,
      ),
    );
  }

  fail(error) {
    this.state(error.message);
    announce(error.message);
    this.failed(error);
  }
}
