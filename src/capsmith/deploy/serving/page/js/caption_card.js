// The caption of one photograph by one model: its words, other captions, and what can be done with it.

import { Alternatives } from "./alternatives.js";
import { announce, copy } from "./announce.js";
import { curl } from "./curl.js";
import { button, icon, make } from "./dom.js";
import { relative } from "./field.js";
import { Player } from "./player.js";
import { altText, save, stem } from "./texts.js";
import { percent, Words } from "./words.js";

let count = 0;

export class CaptionCard {
  /**
   * @param {Object} found
   * @param {Object} found.result one of the `results` of the API
   * @param {Object} found.answer the whole answer, for the download
   * @param {{name: string, trained_on: string, attends: boolean}} found.model
   * @param {[string, string][]} found.fields what was asked
   * @param {string} name of the file
   * @param {{look: function(number[][], string): void, leave: function(): void}} light shows where the model looked
   * @param {{several?: boolean, changed?: function(string): void}} [options] `changed` hears every new caption
   */
  constructor({ result, answer, model, fields }, name, light, { several = false, changed = () => {} } = {}) {
    Object.assign(this, { result, answer, model, fields, name, light, changed });
    this.id = `caption-${++count}`;
    this.text = result.caption;
    this.captions = [result, ...result.alternatives];
    this.alternatives = new Alternatives(this.captions, (index) => this.choose(index));
    this.others = this.captions.length > 1 ? this.othersOf() : null;
    this.title = make("h3", { class: "visually-hidden", id: this.id });
    this.line = make("p", { class: "caption-large", dir: "auto" });
    this.tools = make("p", { class: "caption-tools" });
    this.node = make(
      "div",
      { class: "caption-card", role: "group", "aria-labelledby": this.id, data: { model: model.name } },
      several ? make("p", { class: "eyebrow" }, model.name) : null,
      this.title,
      this.line,
      this.tools,
      this.warning(),
      this.actions(),
      this.others,
      this.request(),
    );
    this.show();
  }

  /** Shows the caption: its words if they are the model's, else the text alone. */
  show() {
    const own = this.text === this.result.caption;
    this.player?.stop();
    this.light.leave();
    this.title.textContent = this.text;
    this.words = own && this.result.words.length ? this.wordsOf(this.result) : null;
    this.line.replaceChildren(this.words ? this.words.node : this.text || "(no words)");
    this.tools.replaceChildren(...this.toolsOf(own));
    this.alternatives.mark(this.captions.findIndex(({ caption }) => caption === this.text));
  }

  wordsOf({ caption, words }) {
    const maps = relative(words.map(({ attention }) => attention));
    const look = (index) => this.light.look(maps[index], `${words[index].word}, ${percent(words[index].probability)}`);
    return new Words(caption, words, { look, leave: () => this.light.leave() });
  }

  toolsOf(own) {
    const edit = button("Edit", { look: "button-small button-quiet", picture: "edit" }, () => this.edit());
    edit.classList.add("edit");
    if (!this.words) return [edit, ...(own ? [] : [this.restore()])];
    if (!this.result.words[0].attention) return [edit];
    const label = "Play where the model looked, word by word";
    const play = button("Play", { look: "button-small button-quiet play", picture: "play", label }, () => this.player.toggle());
    this.player = new Player(this.words, (playing) => {
      play.replaceChildren(icon(playing ? "stop" : "play"), make("span", {}, playing ? "Stop" : "Play"));
      play.setAttribute("aria-pressed", String(playing));
      play.setAttribute("aria-label", playing ? "Stop" : label);
    });
    return [play, edit];
  }

  restore() {
    const back = () => {
      this.set(this.result.caption);
      this.node.querySelector(".edit").focus();
    };
    return button("Back to the model's caption", { look: "button-small button-quiet restore", picture: "again" }, back);
  }

  othersOf() {
    const values = this.captions.map(({ log_probability: value }) => value);
    const ranked = values.every((value, index) => !index || value <= values[index - 1]);
    const why = "In the order of the search, which weighs their length too.";
    return make(
      "details",
      { class: "others", open: true },
      make("summary", {}, `How likely each of ${this.captions.length} captions is`),
      this.alternatives.node,
      ranked ? null : make("p", { class: "note" }, why),
    );
  }

  warning() {
    if (!this.result.unlike_training) return null;
    const what = this.model.trained_on ? ` (${this.model.trained_on})` : "";
    return make("p", { class: "unlike" }, `This photograph is unlike those that the model learned from${what}. Its caption is likely to be wrong.`);
  }

  actions() {
    const alt = button("Copy as alt text", { look: "button-main copy-alt", picture: "copy" }, () => copy(altText(this.text), "Alt text", alt));
    const plain = button("Copy caption", { look: "copy-caption" }, () => copy(this.text, "Caption", plain));
    const json = button("JSON", { look: "download", picture: "download", label: "Download the answer as JSON" }, () => this.download());
    return make("div", { class: "actions" }, alt, plain, json);
  }

  request() {
    const command = curl(this.name, this.fields);
    const copies = button("Copy", { look: "button-small copy-curl", picture: "copy", label: "Copy the command" }, () => copy(command, "Command", copies));
    const code = make("pre", { tabindex: 0, role: "group", "aria-label": "Command" }, make("code", {}, command));
    return make("details", { class: "request" }, make("summary", {}, "The same request with curl"), make("div", { class: "request-body" }, code, copies));
  }

  download() {
    const caption = this.text === this.result.caption ? {} : { edited_caption: this.text };
    const { index, ...result } = this.result;
    const answer = { ...this.answer, results: [{ index, ...result, ...caption }] };
    save(`${JSON.stringify(answer, null, 2)}\n`, `${stem(this.name)}.json`, "application/json");
    announce("The answer is downloaded");
  }

  choose(index) {
    this.set(this.captions[index].caption);
    announce(`Caption: ${this.text}`);
  }

  /** Shows another caption. */
  set(text) {
    this.text = text;
    this.show();
    this.changed(text);
  }

  /** Opens the caption for editing: Enter keeps the change, Escape does not. */
  edit() {
    this.player?.stop();
    const field = make("textarea", { class: "field caption-field", rows: 3, maxlength: 1000, dir: "auto", "aria-label": "Caption" });
    field.value = this.text;
    const close = (text) => {
      this.set(text);
      this.node.querySelector(".edit").focus();
      announce(text === this.result.caption ? "Not changed" : "Changed");
    };
    const keep = () => close(field.value.replace(/\s+/g, " ").trim() || this.text);
    const before = this.text;
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return; // an input method takes the Enter key for itself
      if (event.key === "Enter") event.preventDefault();
      if (event.key === "Enter") keep();
      if (event.key === "Escape") close(before);
    });
    this.line.replaceChildren(field);
    this.tools.replaceChildren(
      button("Keep", { look: "button-small button-main keep" }, keep),
      button("Cancel", { look: "button-small cancel" }, () => close(before)),
    );
    field.focus();
    field.select();
  }
}
