// How far the captioning is, how far the person is, and whether the server answers.

import { byId, count, setText } from "./dom.js";
import { readProgress } from "./server.js";

const BUSY = 1500; // milliseconds between questions while images are being captioned
const IDLE = 4000;

/** Asks how far the work is. Fires "change" with the answer, and "gone" when there is none. */
export class Progress extends EventTarget {
  constructor(first) {
    super();
    this.now = first;
    this.#show();
    this.#wait();
    document.addEventListener("visibilitychange", () => !document.hidden && this.ask());
  }

  get checked() {
    return this.now.edited + this.now.accepted;
  }

  /** Asks soon, after a change. */
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), 250);
  }

  async ask() {
    clearTimeout(this.timer);
    try {
      const before = this.now;
      this.now = await readProgress();
      this.#show();
      this.dispatchEvent(new CustomEvent("change", { detail: before }));
    } catch {
      this.dispatchEvent(new Event("gone"));
    }
    this.#wait();
  }

  #wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (document.hidden ? this.#wait() : this.ask()), this.now.running ? BUSY : IDLE);
  }

  #show() {
    const { total, captioned, failed, edited, accepted, running, message } = this.now;
    const bar = byId("checked-bar");
    bar.max = Math.max(1, total);
    bar.value = this.checked;
    setText(byId("checked"), `${count(this.checked)} of ${count(total)} checked`);
    byId("captioning").hidden = !running && !message;
    byId("captioning-bar").hidden = !running;
    byId("captioning-bar").max = Math.max(1, total);
    byId("captioning-bar").value = captioned + failed;
    setText(
      byId("captioned"),
      message ? `Captioning stopped: ${message}` : `Captioning: ${count(captioned + failed)} of ${count(total)}`,
    );
    const numbers = { all: total, todo: total - failed - edited - accepted, edited, accepted, failed };
    for (const [name, value] of Object.entries(numbers)) setText(byId(`count-${name}`), count(Math.max(0, value)));
  }
}
