// The view "Describe": one photograph, and all that the service knows about it.

import { announce } from "./announce.js";
import { Boxes, captionOf, objectsOf, recommendedOf, similarOf } from "./described.js";
import * as api from "./finding_api.js";
import { example } from "./intake.js";
import { fitting } from "./shrink.js";

const element = (id) => document.getElementById(id);

export class Describe {
  skip = "described";
  drop = "Drop to describe";

  /** @param {function(Error): void} failed hears errors that concern the whole page, such as a missing key */
  constructor(failed) {
    this.failed = failed;
    this.able = null; // null: not known yet
    this.file = null;
    this.boxes = new Boxes(element("describe-boxes"));
    element("describe-file").addEventListener("change", ({ target }) => {
      const files = [...target.files];
      target.value = "";
      this.take(files);
    });
    document.querySelectorAll("[data-describe]").forEach((one) => one.addEventListener("click", () => this.example(one)));
  }

  /** Hears whether the server has anything beside captions. */
  offer(able) {
    this.able = able;
    this.arrange();
    if (this.shown) this.begin();
  }

  arrange() {
    element("describe-missing").hidden = this.able !== false;
    document.querySelectorAll("[data-view=describe] [data-offered]").forEach((part) => (part.hidden = this.able === false));
    if (this.able === null) this.state("The models are loading …");
  }

  show() {
    this.shown = true;
    this.arrange();
    this.begin();
  }

  /** A visitor who has not begun sees the first example described. */
  begin() {
    if (this.begun || !this.able) return;
    this.begun = true;
    if (this.file) this.ask();
    else this.example(document.querySelector("[data-describe]"));
  }

  async example(choice) {
    this.take([await example(choice.dataset.describe)]);
  }

  take([file]) {
    if (!file) return;
    this.file = file;
    const image = element("describe-image");
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    image.alt = "";
    element("describe-picture").hidden = false;
    image.onerror = () => (element("describe-picture").hidden = true); // a format that the browser cannot show
    element("describe-name").textContent = file.name || "photograph";
    this.boxes.show([], 1, 1);
    if (this.able) this.ask();
  }

  state(text) {
    element("describe-state").textContent = text;
  }

  /** Asks for a description; an answer that is not wanted any more is dropped. */
  async ask() {
    this.stop?.abort();
    const stop = (this.stop = new AbortController());
    const part = element("described");
    part.setAttribute("aria-busy", "true");
    this.state("Looking …");
    try {
      const { answer, file } = await fitting(this.file, (one) => api.describe(one, stop.signal));
      if (stop !== this.stop) return;
      this.file = file;
      this.list(answer);
    } catch (error) {
      if (stop === this.stop && error.name !== "AbortError") this.fail(error);
    } finally {
      if (stop === this.stop) part.removeAttribute("aria-busy");
    }
  }

  list({ results: [result], threshold, similar_from: index, library }) {
    const { objects, recommendations, similar } = result;
    this.state("");
    this.boxes.show(objects ?? [], result.width, result.height);
    element("describe-image").alt = result.caption;
    const parts = [
      ...captionOf(result, this.boxes),
      objects && objectsOf(objects, threshold, this.boxes),
      recommendations && recommendedOf(recommendations, library),
    ];
    element("describe-parts").replaceChildren(...parts.filter(Boolean));
    element("describe-similar").replaceChildren(...(similar ? similarOf(similar, index) : []));
    element("described").dataset.photo = this.file.name;
    announce(`${this.file.name}: ${result.caption}`);
  }

  fail(error) {
    element("describe-parts").replaceChildren();
    element("describe-similar").replaceChildren();
    this.boxes.show([], 1, 1);
    this.state(error.message);
    announce(error.message);
    this.failed(error);
  }
}
