// Correct and retrain: what will happen, how far it is, what came of it.

import { byId, counted, make } from "./dom.js";
import { notify } from "./notices.js";
import { readTraining, startTraining, stopTraining } from "./server.js";

const EVERY = 1500; // milliseconds between questions while it runs

export class Training {
  /** @param {() => {edited: number, accepted: number}} work what the person has done */
  constructor(work) {
    Object.assign(this, { work, dialog: byId("retrain"), body: byId("retrain-body"), button: byId("retrain-open"), now: { state: "none" } });
    this.ask();
  }

  open() {
    this.problem = undefined;
    this.#show();
    if (!this.dialog.open) this.dialog.showModal();
    this.ask();
  }

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
    const { state } = this.now;
    this.button.querySelector("span").textContent = state === "running" ? `Retraining: ${share(this.now.progress)}` : "Correct and retrain";
    if (before === "running" && state !== "running" && !this.dialog.open) notify(ENDED[state] ?? "The retraining ended.", { label: "Show", act: () => this.open(), stay: true, key: "retrain" });
    if (this.dialog.open) this.#show();
    if (state === "running") this.timer = setTimeout(() => this.ask(), EVERY);
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
    const text = `${JSON.stringify(this.now)} ${this.problem} ${JSON.stringify(this.work())}`;
    if (text === this.text) return;
    this.text = text;
    if (state === "running" && this.body.dataset.state === "running") return this.#advance();
    const focused = this.body.contains(document.activeElement);
    this.body.dataset.state = state;
    this.body.replaceChildren(...(this.problem ? [make("p.alert", { role: "alert" }, this.problem)] : []), ...VIEWS[state].call(this));
    if (focused) this.body.querySelector("button")?.focus();
    if (state === "running") this.#advance();
  }

  #advance() {
    const bar = this.body.querySelector("progress");
    bar.value = this.now.progress ?? 0;
    this.body.querySelector(".retrain-message").textContent = `${share(this.now.progress)} · ${this.now.message || "Starting …"}`;
  }

  start() {
    return this.#act(startTraining);
  }

  stop() {
    return this.#act(stopTraining);
  }

  plan(again = false) {
    const { edited, accepted } = this.work();
    const list = [
      `The model goes on learning, from ${counted(edited, "caption")} that you corrected and ${counted(accepted, "caption")} that you accepted.`,
      "A few of these images are held back: on them, the old and the new model are compared.",
      "It also repeats what it knew, and is measured on that too.",
      "It runs on this computer. You can go on correcting meanwhile, or stop it at any time.",
    ];
    const start = make("button.button.button-main", { type: "button", disabled: edited + accepted === 0, on: { click: () => this.start() } }, again ? "Retrain again" : "Start");
    return [
      make("h3", {}, "What will happen"),
      make("ol.plan", {}, ...list.map((line) => make("li", {}, line))),
      make("p.promise", {}, make("strong", {}, "The old model is not changed."), " The new one is written beside it, and is used only where you name it."),
      make("div.dialog-buttons", {}, start, edited + accepted ? null : make("span.note", {}, "Correct some captions first.")),
    ];
  }
}

const ENDED = { done: "The retraining is done.", failed: "The retraining failed.", stopped: "The retraining was stopped." };

const VIEWS = {
  none() {
    return this.plan();
  },
  running() {
    return [
      make("progress", { max: "1", value: "0", "aria-label": "Progress of the retraining" }),
      make("p.retrain-message.number"),
      make("p.note", {}, "You can close this and go on correcting. What you correct now counts for the next time. The old model is not changed."),
      make("div.dialog-buttons", {}, make("button.button", { type: "button", on: { click: () => this.stop() } }, "Stop")),
    ];
  },
  failed() {
    return [make("p.alert", { role: "alert" }, this.now.message || "The retraining failed."), make("p.note", {}, "The old model was not changed."), ...this.plan(true)];
  },
  stopped() {
    return [make("p.note", {}, this.now.message || "The retraining was stopped.", " The old model was not changed."), ...this.plan(true)];
  },
  done() {
    const { before, after, run } = this.now;
    const rows = [["Your corrected images, held back", before?.new, after?.new], ["What it was trained on before", before?.old, after?.old]].filter(([, one, two]) => one && two);
    return [
      make("p.verdict", {}, verdict(before, after)),
      rows.length ? table(rows) : null,
      make("p.note", {}, "CIDEr compares a caption with those of people: higher is better. Both models are measured on the same images, none of which the new one learned from."),
      make("h3", {}, "The new model"),
      make("p", {}, make("code", {}, make("bdi", {}, run ?? ""))),
      make("p.promise", {}, make("strong", {}, "The old model was not changed."), " To use the new one, name it:"),
      make("pre", { tabindex: "0", "aria-label": "Commands" }, `capsmith caption ${quoted(run)} photos/\ncapsmith studio --images photos/ ${quoted(run)}`),
      ...this.again(),
    ].filter(Boolean);
  },
};

Training.prototype.again = function again() {
  return [make("details", {}, make("summary", {}, "Retrain again with later corrections"), make("div", {}, ...this.plan(true)))];
};

function table(rows) {
  const line = ([name, one, two]) => {
    const change = two.cider - one.cider;
    const kind = change >= 0 ? "better" : "worse";
    return make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, score(one.cider)), make("td", {}, score(two.cider)), make(`td.${kind}`, {}, `${change >= 0 ? "+" : "−"}${score(Math.abs(change))}`));
  };
  const head = ["CIDEr", "Before", "After", "Change"].map((name) => make("th", { scope: "col" }, name));
  return make("div.scroll", { role: "region", tabindex: "0", "aria-label": "Scores before and after" }, make("table.table.retrain-scores", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows.map(line))));
}

function verdict(before, after) {
  const gain = (after?.new?.cider ?? 0) - (before?.new?.cider ?? 0);
  if (!before?.new || !after?.new) return "The new model is ready.";
  const first = gain > 0 ? `The new model describes your images better: CIDEr ${score(before.new.cider)} → ${score(after.new.cider)}.` : `The new model is not better on your images: CIDEr ${score(before.new.cider)} → ${score(after.new.cider)}. More corrections help.`;
  if (!before.old || !after.old) return first;
  const loss = 1 - after.old.cider / before.old.cider;
  return `${first} On what it knew before, it ${loss > 0 ? `lost ${share(loss)}` : "lost nothing"}.`;
}

const score = (value) => value.toFixed(3);
const share = (value) => `${Math.round(100 * (value ?? 0))} %`;
const quoted = (path) => (/^[\w./~-]+$/.test(path ?? "") ? path : `'${String(path).replaceAll("'", "'\\''")}'`);
