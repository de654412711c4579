// Correct and retrain: starts it, follows it, and shows what came of it.

import { byId, make } from "./dom.js";
import { notify } from "./notices.js";
import { readTraining, startTraining, stopTraining } from "./server.js";
import { share, view } from "./training_views.js";

const EVERY = 1500; // milliseconds between questions while it runs
const ENDED = {
  done: "The retraining is done.",
  failed: "The retraining failed.",
  stopped: "The retraining was stopped.",
};

export class Training {
  /** @param {() => {edited: number, accepted: number}} work what the person has done */
  constructor(work) {
    Object.assign(this, { work, dialog: byId("retrain"), body: byId("retrain-body"), button: byId("retrain-open") });
    this.now = { state: "none" };
    this.ask();
  }

  open() {
    this.problem = undefined;
    this.#show();
    if (!this.dialog.open) this.dialog.showModal();
    this.ask();
  }

  /** Asks how far it is, and again as long as it runs. */
  async ask() {
    clearTimeout(this.timer);
    const before = this.now.state;
    try {
      this.now = await readTraining();
    } catch (error) {
      if (error.status === 404) this.button.hidden = true;
      else this.timer = setTimeout(() => this.ask(), 2 * EVERY);
      return;
    }
    const { state, progress } = this.now;
    const label = state === "running" ? `Retraining: ${share(progress)}` : "Correct and retrain";
    this.button.querySelector("span").textContent = label;
    if (this.dialog.open) this.#show();
    else if (before === "running" && state in ENDED) this.#ended(state);
    if (state === "running") this.timer = setTimeout(() => this.ask(), EVERY);
  }

  #ended(state) {
    notify(ENDED[state], { label: "Show", act: () => this.open(), stay: true, key: "retrain" });
  }

  async #act(call) {
    this.problem = undefined;
    try {
      this.now = await call();
    } catch (error) {
      this.problem = error.message;
    }
    this.#show();
    this.ask();
  }

  #show() {
    const { state } = this.now;
    const version = JSON.stringify([this.now, this.problem, this.work()]);
    if (version === this.version) return;
    this.version = version;
    if (state === "running" && this.body.dataset.state === "running" && !this.problem) return this.#advance();
    const focused = this.body.contains(document.activeElement);
    const problem = this.problem ? [make("p.alert", { role: "alert" }, this.problem)] : [];
    const on = { start: () => this.#act(startTraining), stop: () => this.#act(stopTraining) };
    this.body.dataset.state = state;
    this.body.replaceChildren(...problem, ...view(this.now, this.work(), on));
    if (focused) this.body.querySelector("button")?.focus();
    if (state === "running") this.#advance();
  }

  #advance() {
    const { progress, message } = this.now;
    this.body.querySelector("progress").value = progress ?? 0;
    this.body.querySelector(".retrain-message").textContent = `${share(progress)} · ${message || "Starting …"}`;
  }
}
