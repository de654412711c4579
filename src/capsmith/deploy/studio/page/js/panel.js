// One image in full: picture, words that show where the model looked, alternatives.

import { Attention } from "../../js/attention.js";
import { relative } from "../../js/field.js";
import { percent, Words } from "../../js/words.js";
import { others } from "./actions.js";
import { isProposal, sureness } from "./caption.js";
import { SAVE, STATUS } from "./cell.js";
import { count, icon, make } from "./dom.js";
import { imageUrl } from "./server.js";

const REST = 120; // milliseconds of standstill until picture, words and alternatives are loaded
const BUTTONS = [
  ["accept", "Accept", "A"],
  ["edit", "Edit", "Enter"],
  ["reset", "Reset", "R"],
  ["undo", "Undo", "U"],
];

export class Panel {
  /**
   * @param {HTMLElement} root
   * @param {Details} details
   * @param {(action: string, number?: number) => void} on what its buttons do
   */
  constructor(root, details, on) {
    Object.assign(this, { root, details });
    this.picture = make("img", { decoding: "async", on: { error: () => this.#unreadable() } });
    this.canvas = make("canvas.light", { "aria-hidden": "true" });
    this.attention = new Attention(this.canvas);
    this.shape = make("div.panel-picture", {}, this.picture, this.canvas);
    this.missing = make("p.panel-missing", { hidden: true });
    this.place = make("p.panel-place.number");
    this.caption = make("p.panel-caption", { dir: "auto" });
    this.host = make("div.panel-words", {}, this.caption);
    this.facts = make("p.panel-facts");
    this.proposal = make("div.panel-proposal", { hidden: true });
    this.hint = make(
      "p.note",
      { hidden: true },
      "Point at a word, or go to it with Tab and the arrow keys, to see where the model looked.",
    );
    this.unlike = make(
      "p.panel-unlike",
      { hidden: true },
      "This image is unlike those that the model learned from: look closely.",
    );
    this.others = make("div.panel-others", { hidden: true });
    const buttons = make("div.panel-buttons", {}, ...BUTTONS.map((one) => button(...one)));
    const text = make(
      "div.panel-text",
      {},
      this.place,
      this.host,
      this.facts,
      this.unlike,
      buttons,
      this.proposal,
      this.hint,
      this.others,
    );
    root.append(make("div.panel-frame", {}, this.shape, this.missing), text);
    root.addEventListener("click", ({ target }) => {
      const { action, number } = target.closest("[data-action]")?.dataset ?? {};
      if (action) on(action, Number(number) || undefined);
    });
  }

  /** Shows an image; words and alternatives follow when they are loaded. */
  async show(image, save, index, total) {
    const other = this.image?.id !== image.id;
    const version = JSON.stringify([image.id, image.caption, image.proposed, image.status]);
    this.image = image;
    this.place.textContent = `${count(index + 1)} of ${count(total)}`;
    this.#facts(image, save);
    if (other) this.#picture(image);
    if (version === this.version) return;
    this.version = version;
    this.#words(image, this.details.known(image)?.words ?? image.words);
    this.#others(this.details.known(image), image);
    await new Promise((resolve) => setTimeout(resolve, other ? REST : 0)); // a person who holds J asks for nothing
    if (this.version !== version) return;
    if (other) this.picture.src = imageUrl(image.id, "picture");
    try {
      const details = await this.details.of(image);
      if (this.version !== version) return;
      this.#words(image, details.words);
      this.#others(details, image);
    } catch {
      if (this.version === version) this.version = undefined; // asked again when the image is shown again
    }
  }

  #picture(image) {
    this.attention.hide();
    this.missing.hidden = true;
    this.shape.hidden = false;
    this.shape.style.setProperty("--ratio", image.width ? image.width / image.height : 1.5);
    this.picture.alt = image.caption || image.name;
    this.picture.src = imageUrl(image.id, "thumbnail"); // the picture follows
  }

  #unreadable() {
    this.shape.hidden = true;
    this.missing.hidden = false;
    this.missing.textContent = this.image.error || "The picture cannot be shown.";
  }

  #facts(image, save) {
    const [label, symbol] = STATUS[image.status];
    const facts = [image.width ? `${image.width} × ${image.height}` : ""];
    if (Number.isFinite(image.per_word) && image.proposed) facts.push(`${percent(sureness(image))} sure a word`);
    if (save.state !== "saved") facts.push(save.reason ?? SAVE[save.state]);
    const status = make("span.cell-status", { data: { status: image.status } }, icon(symbol), make("span", {}, label));
    this.facts.replaceChildren(
      status,
      make("span", {}, make("bdi", {}, image.name), ...facts.filter(Boolean).map((fact) => ` · ${fact}`)),
    );
  }

  #words(image, words = []) {
    const mine = !isProposal(image);
    const lit = image.proposed ? this.#lit(image.proposed, words) : null;
    this.picture.alt = image.caption || image.name;
    if (mine || !lit)
      this.caption.replaceChildren(image.caption || make("span.soft", {}, image.error || "No caption yet"));
    else this.caption.replaceChildren(lit);
    this.proposal.hidden = !mine || !lit;
    this.proposal.replaceChildren(
      make("h2.label", {}, "The model proposed"),
      make("p", { dir: "auto" }, mine ? lit : null),
    );
    this.hint.hidden = !words.some((word) => word.attention);
  }

  #lit(text, words) {
    if (!words.length) return document.createTextNode(text);
    const maps = relative(words.map((word) => word.attention));
    const look = (place) => maps[place] && this.attention.show(maps[place]);
    return new Words(text, words, { look, leave: () => this.attention.hide() }).node;
  }

  #others(details, image) {
    const found = others(details);
    this.unlike.hidden = !details?.unlike_training;
    this.others.hidden = !found.length;
    const lines = found.map(({ caption, score }, place) => {
      const value = Number.isFinite(score)
        ? make(
            "span.soft.number",
            { title: "The model's score: the closer to zero, the surer" },
            score.toFixed(2).replace("-", "−"),
          )
        : null;
      const properties = {
        type: "button",
        data: { action: "take", number: place + 1 },
        "aria-pressed": String(caption === image.caption),
      };
      return make(
        "li",
        {},
        make(
          "button.panel-other",
          properties,
          make("kbd", {}, String(place + 1)),
          make("span", { dir: "auto" }, caption),
          value,
        ),
      );
    });
    this.others.replaceChildren(make("h2.label", {}, "Alternatives"), make("ol", {}, ...lines));
  }
}

function button(action, label, key) {
  const main = action === "accept" ? ".button-main" : "";
  const sign = make("kbd", { "aria-hidden": "true" }, key === "Enter" ? "↵" : key);
  return make(
    `button.button.button-small${main}`,
    { type: "button", data: { action }, "aria-keyshortcuts": key },
    label,
    sign,
  );
}
