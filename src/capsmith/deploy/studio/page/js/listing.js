// The images of a query, all of them, in the order in which they were found.

import { listImages } from "./server.js";

const FIRST = 200; // images of the first answer: a screen and more
const MORE = 1000;

/**
 * The images that match a filter. Their order stays while a person works: an image that was accepted keeps its place
 * among those to do until the next query. Fires "change" when images arrive and "failed" (`detail`: the error).
 */
export class Listing extends EventTarget {
  constructor(saves) {
    super();
    this.saves = saves;
    this.images = [];
    this.places = new Map(); // id -> index
    this.total = 0;
    this.query = {};
    this.complete = false;
  }

  /** Finds the images of a query. */
  async find(query) {
    this.controller?.abort();
    const { signal } = (this.controller = new AbortController());
    this.query = query;
    this.complete = false;
    const seen = new Set();
    try {
      for (let offset = 0, total = Infinity; offset < total;) {
        const answer = await listImages(query, offset, offset ? MORE : FIRST, signal);
        if (signal.aborted) return;
        if (!offset) this.#clear();
        total = answer.total;
        for (const image of answer.images) if (!seen.has(image.id) && seen.add(image.id)) this.#add(image);
        offset += answer.images.length;
        this.complete = offset >= total || !answer.images.length;
        this.total = this.complete ? this.images.length : total;
        this.dispatchEvent(new CustomEvent("change", { detail: { fresh: offset === answer.images.length } }));
        if (this.complete) return;
      }
    } catch (error) {
      if (!signal.aborted) this.dispatchEvent(new CustomEvent("failed", { detail: error }));
    }
  }

  at(index) {
    return this.images[index];
  }

  placeOf(id) {
    return this.places.get(id) ?? -1;
  }

  get(id) {
    return this.images[this.placeOf(id)];
  }

  /** Takes over what the server now says about an image. */
  update(image) {
    const known = this.get(image.id);
    if (known) this.saves.overlay(Object.assign(known, image));
    return known;
  }

  #clear() {
    this.images = [];
    this.places.clear();
  }

  #add(image) {
    this.places.set(image.id, this.images.length);
    this.images.push(this.saves.overlay(image));
  }
}
