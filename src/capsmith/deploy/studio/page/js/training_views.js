// What the dialog of a retraining shows in each of its states.

import { count, counted, make } from "./dom.js";

const FEW = 20; // images below which a score says little

/** Writes a share: 0.42 → "42 %". */
export const share = (value) => `${Math.round(100 * (value ?? 0))} %`;

/**
 * Returns what is shown.
 * @param {Object} now the state of the training, as the server says it
 * @param {{edited: number, accepted: number}} work what the person has done
 * @param {{start: () => void, stop: () => void}} on
 * @returns {Node[]}
 */
export function view(now, work, on) {
  return { none, running, failed, stopped, done }[now.state](now, work, on);
}

function none(now, work, on) {
  return plan(work, on, "Start");
}

function running(now, work, on) {
  return [
    make("progress", { max: "1", value: "0", "aria-label": "Progress of the retraining" }),
    make("p.retrain-message.number"),
    note(
      "You can close this and go on correcting. What you correct now counts for the next time.",
      " The old model is not changed.",
    ),
    make("div.dialog-buttons", {}, button("Stop", on.stop)),
  ];
}

function failed(now, work, on) {
  const why = make("p.alert", { role: "alert" }, now.message || "The retraining failed.");
  return [why, note("The old model was not changed."), ...plan(work, on, "Retrain again")];
}

function stopped(now, work, on) {
  const why = now.message || "The retraining was stopped.";
  return [note(`${why} The old model was not changed.`), ...plan(work, on, "Retrain again")];
}

function done({ before, after, run }, work, on) {
  const later = make("details", {}, make("summary", {}, "Retrain again with later corrections"));
  later.append(make("div", {}, ...plan(work, on, "Retrain again")));
  const commands = [
    `capsmith caption ${quoted(run)} photos/`,
    `capsmith studio --images photos/ --propose-again ${quoted(run)}`,
  ];
  return [
    make("p.verdict", {}, verdict(before, after)),
    ...scores(before, after),
    make("h3", {}, "The new model"),
    make("p", {}, make("code", {}, make("bdi", {}, run ?? ""))),
    make("p.promise", {}, make("strong", {}, "The old model was not changed."), " To use the new one, name it:"),
    make("pre", { tabindex: "0", "aria-label": "Commands" }, commands.join("\n")),
    later,
  ];
}

function plan({ edited, accepted }, on, label) {
  const some = edited + accepted > 0;
  const lines = [
    `The model goes on learning, from ${counted(edited, "caption")} that you corrected` +
      ` and ${counted(accepted, "caption")} that you accepted.`,
    "One image in five is held back: on those, the old and the new model are compared." +
      " With few captions, the figures are rough.",
    "Where the images of its first training are at hand, it rehearses them and is measured on them too.",
    "All of this happens on this computer. You can go on correcting meanwhile, or stop it at any time.",
  ];
  const promise = " The new one is written beside it, and is used only where you name it.";
  return [
    make("h3", {}, "What will happen"),
    make("ol.plan", {}, ...lines.map((line) => make("li", {}, line))),
    make("p.promise", {}, make("strong", {}, "The old model is not changed."), promise),
    make(
      "div.dialog-buttons",
      {},
      button(label, on.start, { main: true, disabled: !some }),
      some ? null : make("span.note", {}, "Correct some captions first."),
    ),
  ];
}

/** The scores before and after, and what they are worth. */
function scores(before, after) {
  const rows = [
    ["Your corrected images, held back", before?.new, after?.new],
    ["What it was trained on before", before?.old, after?.old],
  ].filter(([, one, two]) => one && two);
  if (!rows.length) return [];
  const { images } = after.new ?? {};
  const rough =
    `Measured on ${counted(images ?? 0, "image")} only: chance decides as much as the model.` +
    " Look at its captions before you use it.";
  return [
    table(rows),
    images < FEW ? make("p.rough", {}, rough) : null,
    after.old ? null : note("The images of its first training are not at hand, so what it forgot was not measured."),
    note(
      "CIDEr compares a caption with those of people: higher is better. Both models are measured on the same images,",
      " none of which the new one learned from.",
    ),
  ].filter(Boolean);
}

function table(rows) {
  const head = ["CIDEr", "Before", "After", "Change"].map((name) => make("th", { scope: "col" }, name));
  const body = make("tbody", {}, ...rows.map(line));
  const whole = make("table.table.retrain-scores", {}, make("thead", {}, make("tr", {}, ...head)), body);
  return make("div.scroll", { role: "region", tabindex: "0", "aria-label": "Scores before and after" }, whole);
}

function line([name, one, two]) {
  const change = two.cider - one.cider;
  const sign = change >= 0 ? "+" : "−";
  const images = one.images ? ` (${count(one.images)})` : "";
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, name, images),
    make("td", {}, score(one.cider)),
    make("td", {}, score(two.cider)),
    make(`td.${change >= 0 ? "better" : "worse"}`, {}, `${sign}${score(Math.abs(change))}`),
  );
}

function verdict(before, after) {
  if (!before?.new || !after?.new) return "The new model is ready.";
  const figures = `CIDEr ${score(before.new.cider)} → ${score(after.new.cider)}.`;
  const first =
    after.new.cider > before.new.cider
      ? `The new model describes your images better: ${figures}`
      : `The new model is not better on your images: ${figures} More corrections help.`;
  if (!before.old || !after.old) return first;
  const loss = 1 - after.old.cider / before.old.cider;
  return `${first} On what it knew before, it ${loss > 0 ? `lost ${share(loss)}` : "lost nothing"}.`;
}

function button(label, click, { main = false, disabled = false } = {}) {
  return make(`button.button${main ? ".button-main" : ""}`, { type: "button", disabled, on: { click } }, label);
}

const note = (...text) => make("p.note", {}, ...text);
const score = (value) => value.toFixed(3);

/** Writes a path for a shell. */
function quoted(path) {
  return /^[\w./~-]+$/.test(path ?? "") ? path : `'${String(path).replaceAll("'", "'\\''")}'`;
}
