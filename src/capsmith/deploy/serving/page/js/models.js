// The models of the service: which one captions, or which two are compared.

import { make } from "./dom.js";

const MOST = 2;

export class Models {
  /**
   * @param {Object[]} models of the API, the default first
   * @param {HTMLElement} place of the buttons
   * @param {function(): void} changed
   */
  constructor(models, place, changed) {
    this.all = models;
    this.chosen = models.slice(0, 1);
    this.changed = changed;
    this.buttons = models.map((model) =>
      make("button", { type: "button", class: "chip", on: { click: () => this.toggle(model) } }, model.name),
    );
    place.hidden = models.length < 2;
    if (models.length > 1) place.append(...this.buttons);
    this.mark();
  }

  get several() {
    return this.all.length > 1;
  }

  toggle(model) {
    const others = this.chosen.filter((one) => one !== model);
    if (others.length === this.chosen.length) this.chosen = [...this.chosen, model].slice(-MOST);
    else if (others.length) this.chosen = others;
    else return;
    this.mark();
    this.changed();
  }

  mark() {
    this.buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(this.chosen.includes(this.all[index]))));
  }

  /** What the chosen models are, one sentence each. */
  sentences() {
    return this.chosen.map(({ name, trained_on: what, words }) => {
      const learned = what ? `learned from ${what}` : "does not say what it learned from";
      return `${name} ${learned}; it knows ${words.toLocaleString("en")} words.`;
    });
  }
}
