// The words of a caption as buttons: the one that is pointed at or focused shows where the model looked.

import { make } from "./dom.js";

const UNSURE = 0.4; // words that are less probable are marked

/**
 * Divides a caption at its words, so that it can be shown letter for letter, whatever stands between its words.
 * @returns {{before: string, text: string}[]} one for each word
 */
export function segments(caption, words) {
  const found = [];
  let place = 0;
  for (const { word } of words) {
    const start = caption.indexOf(word, place);
    if (start < 0) return words.map((one, index) => ({ before: index ? " " : "", text: one.word }));
    found.push({ before: caption.slice(place, start), text: word });
    place = start + word.length;
  }
  return found;
}

/** A probability as people read it. */
export function percent(probability) {
  if (probability >= 0.995) return "over 99 %";
  return probability < 0.01 ? "under 1 %" : `${Math.round(100 * probability)} %`;
}

/**
 * Words as one stop of the Tab key; the arrow keys go from word to word.
 */
export class Words {
  /**
   * @param {string} caption
   * @param {{word: string, probability: number}[]} words
   * @param {{look: function(number): void, leave: function(): void}} listeners `look` gets the number of the word
   */
  constructor(caption, words, { look, leave }) {
    this.listeners = { look, leave };
    this.pinned = null;
    this.buttons = [];
    this.node = make("span", { class: "words", role: "group", "aria-label": "Words, and how likely each is" });
    segments(caption, words).forEach(({ before, text }, index) => {
      this.buttons.push(this.button(text, words[index].probability, index));
      this.node.append(before, this.buttons[index]);
    });
    if (this.buttons.length) this.buttons[0].tabIndex = 0;
    this.node.addEventListener("keydown", (event) => this.move(event));
  }

  button(text, probability, index) {
    const unsure = probability < UNSURE;
    const label = `${text}, ${percent(probability)}${unsure ? ", unsure" : ""}`;
    const enter = ({ pointerType }) => pointerType === "mouse" && this.pinned === null && this.look(index);
    const go = ({ pointerType }) => pointerType === "mouse" && this.pinned === null && this.leave();
    return make(
      "button",
      {
        type: "button",
        class: unsure ? "word unsure" : "word",
        tabindex: -1,
        "aria-label": label,
        vars: { probability },
        on: {
          pointerenter: enter,
          pointerleave: go,
          focus: () => this.look(index),
          blur: () => this.leave(),
          click: () => this.pin(index),
        },
      },
      text,
    );
  }

  /** Marks a word and shows it. */
  look(index) {
    this.mark(index);
    this.listeners.look(index);
  }

  leave() {
    this.pinned = null;
    this.mark(null);
    this.listeners.leave();
  }

  /** A click keeps a word shown until the next one. */
  pin(index) {
    if (this.pinned === index) return this.leave();
    this.pinned = index;
    return this.look(index);
  }

  mark(index) {
    this.buttons.forEach((button, place) => button.classList.toggle("looking", place === index));
  }

  move(event) {
    const here = this.buttons.indexOf(event.target);
    const back = getComputedStyle(this.node).direction === "rtl" ? "ArrowRight" : "ArrowLeft";
    const last = this.buttons.length - 1;
    const to = { ArrowLeft: here + 1, ArrowRight: here + 1, [back]: here - 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") return event.target.blur();
    if (to === undefined) return undefined;
    event.preventDefault();
    const next = this.buttons[Math.min(Math.max(to, 0), last)];
    this.buttons.forEach((button) => (button.tabIndex = button === next ? 0 : -1));
    return next.focus();
  }
}
