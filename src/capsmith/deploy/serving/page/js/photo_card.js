// One photograph: the picture, how far its request is, and its captions.

import { announce } from "./announce.js";
import { Attention } from "./attention.js";
import { CaptionCard } from "./caption_card.js";
import { button, make } from "./dom.js";
import { shrink } from "./shrink.js";

export class PhotoCard {
  /**
   * @param {File} file
   * @param {{remove: function(PhotoCard): void, again: function(PhotoCard): void, lead: function(PhotoCard): void}} listeners
   */
  constructor(file, listeners) {
    this.file = file;
    this.name = file.name || "photo";
    this.url = URL.createObjectURL(file);
    this.captions = [];
    this.open = true; // the lists of other captions
    this.stop = new AbortController();
    this.picture = this.pictureOf();
    this.status = make("p", { class: "photo-status" });
    this.bar = make("progress", { max: 1, "aria-label": `Progress of ${this.name}` });
    this.retry = button("Try again", { picture: "again", look: "retry", hidden: true }, () => listeners.again(this));
    this.smaller = button("Send a smaller copy", { look: "smaller", hidden: true }, () => this.sendSmaller(listeners));
    this.work = make("div", { class: "photo-work" }, this.status, this.bar, this.smaller, this.retry);
    this.panels = make("div", { class: "photo-captions" });
    this.facts = make("span", {}, this.name);
    const tools = { look: "button-small button-quiet" };
    this.node = make(
      "li",
      { class: "photo", data: { state: "waiting", name: this.name } },
      make("div", { class: "photo-frame" }, this.picture),
      make(
        "div",
        { class: "photo-text" },
        this.work,
        this.panels,
        make(
          "div",
          { class: "photo-foot" },
          this.facts,
          button("", { ...tools, look: `${tools.look} enlarge`, picture: "grow", label: `Show ${this.name} large` }, () => listeners.lead(this)),
          button("", { ...tools, look: `${tools.look} remove`, picture: "close", label: `Remove ${this.name}` }, () => listeners.remove(this)),
        ),
      ),
    );
    this.wait("Waiting …");
  }

  pictureOf() {
    this.image = make("img", { alt: "", decoding: "async" });
    this.canvas = make("canvas", { class: "photo-attention", "aria-hidden": "true" });
    this.word = make("p", { class: "photo-word", "aria-hidden": "true", hidden: true });
    this.attention = new Attention(this.canvas);
    const picture = make("div", { class: "photo-picture" }, this.image, this.canvas, this.word);
    this.image.addEventListener("load", () => this.ratio(this.image.naturalWidth, this.image.naturalHeight));
    this.image.addEventListener("error", () => {
      const failed = this.node.dataset.state === "failed";
      this.image.hidden = true;
      picture.dataset.unshown = failed ? "" : "This browser cannot show this kind of image. The server can still caption it.";
    });
    this.image.src = this.url;
    return picture;
  }

  ratio(width, height) {
    if (width && height) this.picture.style.setProperty("--ratio", width / height);
  }

  set state(state) {
    this.node.dataset.state = state;
    this.work.hidden = state === "captioned";
    this.panels.hidden = state !== "captioned";
    this.bar.hidden = state === "failed";
    this.retry.hidden = state !== "failed";
    this.smaller.hidden = true;
  }

  /** Says what is being waited for; `part` of the upload is done, or nobody knows how much. */
  wait(text, part = null) {
    this.state = "waiting";
    this.status.textContent = text;
    if (part === null) this.bar.removeAttribute("value");
    else this.bar.value = part;
  }

  /** How far the request is. */
  get listeners() {
    return {
      signal: this.stop.signal,
      progress: (part) => (part < 1 ? this.wait("Sending …", part) : this.wait("Looking …")),
      waiting: (error, seconds) => this.wait(`${error.status === 503 ? "The server is getting ready" : "The server is busy"}. Next try in ${seconds}\u00a0s.`),
    };
  }

  /**
   * Shows the captions of one or two models.
   * @param {Object[]} found see CaptionCard
   * @param {number} milliseconds
   */
  show(found, milliseconds) {
    const [{ result }] = found;
    if (!this.image.naturalWidth) this.ratio(result.width, result.height);
    const changed = (text) => (this.image.alt = text);
    this.captions = found.map(
      (one, index) =>
        new CaptionCard(one, this.name, this.light(), { several: found.length > 1, changed: index ? undefined : changed }),
    );
    this.unfold(this.open);
    this.panels.replaceChildren(...this.captions.map(({ node }) => node));
    this.node.dataset.models = found.length;
    this.state = "captioned";
    changed(result.caption);
    const time = milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
    this.facts.textContent = `${this.name} · ${result.width} × ${result.height} · ${time}`;
    announce(`${this.name}: ${found.map((one) => one.result.caption).join("; ")}`);
  }

  light() {
    return {
      look: (map, text) => {
        this.word.textContent = text;
        this.word.hidden = false;
        if (map) this.attention.show(map);
      },
      leave: () => {
        this.word.hidden = true;
        this.attention.hide();
      },
    };
  }

  /** Opens or closes the lists of other captions: the photograph in front shows them at once. */
  unfold(open) {
    this.open = open;
    this.captions.forEach(({ others }) => others && (others.open = open));
  }

  async sendSmaller(listeners) {
    this.wait("Making a smaller copy …");
    const copy = await shrink(this.file);
    if (!copy) return this.fail("This browser cannot make a smaller copy of it.");
    this.file = copy;
    return listeners.again(this);
  }

  /** Says why there is no caption; one that is too large can be made smaller. */
  fail(message, large = false) {
    this.state = "failed";
    if (this.image.hidden) this.picture.dataset.unshown = "";
    this.smaller.hidden = !large || this.image.hidden;
    this.status.textContent = message;
    announce(`${this.name}: ${message}`);
  }

  /** Stops its request and forgets the photograph. */
  close() {
    this.stop.abort();
    this.captions.forEach(({ player }) => player?.stop());
    URL.revokeObjectURL(this.url);
    this.node.remove();
  }
}
