// What the model says about one image: words with attention, alternatives. Loaded when needed, kept for a while.

import { readImage } from "./server.js";

const KEPT = 60; // images
const AGAIN = 15_000; // milliseconds until words without attention are asked for again: the model may have been loading

export class Details {
  constructor() {
    this.found = new Map();
  }

  /** @returns {Object|undefined} what was loaded before. */
  known(image) {
    const { details, until } = this.found.get(image.id) ?? {};
    return details?.proposed === image.proposed && performance.now() < until ? details : undefined;
  }

  /** @returns {Promise<Object>} the image with `words` (probability, attention) and `alternatives`. */
  async of(image) {
    const known = this.known(image);
    if (known) return known;
    const details = await readImage(image.id);
    this.found.delete(image.id);
    const lit = details.words.some((word) => word.attention);
    this.found.set(image.id, { details, until: lit ? Infinity : performance.now() + AGAIN });
    if (this.found.size > KEPT) this.found.delete(this.found.keys().next().value);
    return details;
  }
}
