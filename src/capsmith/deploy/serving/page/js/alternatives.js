// The captions of a photograph with how likely each is. Each can be chosen.

import { make } from "./dom.js";

/** The probability of a whole caption as people read it. */
export function likelihood(logProbability) {
  const value = 100 * Math.exp(logProbability);
  if (value < 0.0001) return "under 0.0001 %";
  if (value < 0.1) return `${Number(value.toPrecision(1))} %`;
  return value < 10 ? `${value.toFixed(1)} %` : `${Math.round(value)} %`;
}

export class Alternatives {
  /**
   * @param {{caption: string, log_probability: number}[]} captions the model's own choice first
   * @param {function(number): void} choose gets the number of a caption
   */
  constructor(captions, choose) {
    const most = Math.max(...captions.map(({ log_probability: value }) => value));
    this.buttons = captions.map(({ caption, log_probability: value }, index) => this.button(caption, value, most, () => choose(index)));
    this.node = make("ol", { class: "alternatives", role: "list" }, ...this.buttons.map((button) => make("li", {}, button)));
    this.mark(0);
  }

  button(caption, logProbability, most, click) {
    const part = Math.exp(logProbability - most);
    return make(
      "button",
      { type: "button", class: "alternative", vars: { part }, on: { click } },
      make("span", { class: "alternative-text", dir: "auto" }, caption),
      make("span", { class: "alternative-likely number" }, likelihood(logProbability)),
      make("span", { class: "alternative-bar", "aria-hidden": "true" }),
    );
  }

  /** Marks the caption that is shown; null if it is none of these. */
  mark(index) {
    this.buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(place === index)));
  }
}
