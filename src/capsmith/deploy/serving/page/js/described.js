// The description of one photograph: a caption whose nouns draw boxes, objects, fitting captions, similar photographs.

import { copy } from "./announce.js";
import { button, icon, make } from "./dom.js";
import { showPicture } from "./pictures.js";

const MARKS = { confirmed: "tick", unconfirmed: "question", unknown: "dash" };
const number = (value) => value.toFixed(2);
let count = 0;

/**
 * Divides a caption at its nouns. Their places count characters, not the units of JavaScript's strings.
 * @returns {(string|number)[]} text, and the numbers of nouns
 */
export function pieces(caption, words) {
  const letters = Array.from(caption);
  const found = [];
  let place = 0;
  words.forEach(({ start, end }, index) => {
    found.push(letters.slice(place, start).join(""), index);
    place = end;
  });
  return [...found, letters.slice(place).join("")].filter((piece) => piece !== "");
}

/** Boxes over a picture. One is drawn while a word or an object that it belongs to is pointed at or focused. */
export class Boxes {
  /** @param {HTMLElement} node covers the picture */
  constructor(node) {
    this.node = node;
    this.boxes = new Map();
    this.words = [];
  }

  /** Places the boxes of objects, large ones below small ones. */
  show(objects, width, height) {
    const area = ([left, top, right, bottom]) => (right - left) * (bottom - top);
    const all = objects.map((one, index) => [index, one]).toSorted(([, one], [, other]) => area(other.box) - area(one.box));
    this.boxes = new Map(all.map(([index, one]) => [index, this.box(one, index, width, height)]));
    this.words = [];
    this.node.replaceChildren(...this.boxes.values());
  }

  box({ label, score, box: [left, top, right, bottom] }, index, width, height) {
    const vars = { left: left / width, top: top / height, width: (right - left) / width, height: (bottom - top) / height };
    const on = { pointerenter: () => this.mark(index), pointerleave: () => this.mark(null) };
    return make("div", { class: `box ${vars.top < 0.07 ? "inside" : ""}`.trim(), vars, on }, make("span", { class: "box-label" }, `${label} ${number(score)}`));
  }

  /** Draws the boxes of these objects only. */
  draw(numbers) {
    this.boxes.forEach((box, index) => box.classList.toggle("drawn", numbers.includes(index)));
  }

  /** Marks the words that an object belongs to. */
  mark(index) {
    this.words.forEach(({ node, objects }) => node.classList.toggle("looking", objects.includes(index)));
  }

  /** Listeners of a button that draws the boxes of objects. */
  drawing(numbers) {
    const draw = () => this.draw(numbers);
    const clear = () => this.draw([]);
    const mouse = (act) => ({ pointerType }) => pointerType === "mouse" && act();
    return { pointerenter: mouse(draw), pointerleave: mouse(clear), focus: draw, blur: clear, click: draw };
  }
}

/** The caption, its nouns marked: with an icon, and a sentence for each of them. */
export function captionOf({ caption, words, objects, unnamed, unlike_training: unlike }, boxes) {
  const id = `noun-${++count}-`;
  const parts = pieces(caption, words ?? []).map((piece) => (typeof piece === "string" ? piece : noun(caption, words[piece], `${id}${piece}`, boxes)));
  const lines = words ? verdicts(words, unnamed.map((index) => objects[index].label), id) : [];
  return [
    make("p", { class: "caption-large words", dir: "auto" }, ...parts),
    unlike ? make("p", { class: "unlike" }, "This photograph is unlike those that the model learned from. The caption is probably poor.") : null,
    lines.length ? make("ul", { class: "verdicts", role: "list" }, ...lines) : null,
  ];
}

function noun(caption, word, id, boxes) {
  const text = Array.from(caption).slice(word.start, word.end).join("");
  if (word.status === "unknown") return make("span", {}, text);
  const properties = { type: "button", class: `word noun ${word.status}`, "aria-describedby": id, on: boxes.drawing(word.objects) };
  const node = make("button", properties, text, icon(MARKS[word.status]));
  boxes.words.push({ node, objects: word.objects });
  return node;
}

function verdicts(words, unnamed, id) {
  const line = (mark, look, name, ...text) => make("li", { class: look, id: name }, icon(mark), make("span", {}, ...text));
  const checked = words.flatMap(({ word, status, object, objects }, index) => {
    if (status === "unknown") return [];
    const found = objects.length > 1 ? ` (${objects.length})` : "";
    const said = status === "confirmed" ? ` is confirmed: ${object} detected${found}` : ` is not confirmed: no ${object} detected`;
    return [line(MARKS[status], status, `${id}${index}`, make("b", { dir: "auto" }, word), said)];
  });
  const unknown = [...new Set(words.filter(({ status }) => status === "unknown").map(({ word }) => word))];
  return [
    ...checked,
    unknown.length ? line("dash", "unknown", null, `not checked, as the detector does not know it: ${unknown.join(", ")}`) : null,
    unnamed.length ? line("plus", "more", null, `detected, but not in the caption: ${unnamed.join(", ")}`) : null,
  ].filter(Boolean);
}

/** The objects, each a button that draws its box. */
export function objectsOf(objects, threshold, boxes) {
  const chips = objects.map(({ label, score }, index) =>
    make("li", {}, make("button", { type: "button", class: "chip", on: boxes.drawing([index]) }, label, make("span", { class: "number soft" }, number(score)))),
  );
  const all = make("input", { type: "checkbox", on: { change: ({ target }) => boxes.node.classList.toggle("all", target.checked) } });
  boxes.node.classList.remove("all");
  return make(
    "section",
    { class: "described-objects" },
    make("h3", {}, objects.length ? "Objects" : "No objects", make("span", { class: "soft" }, ` from a confidence of ${number(threshold)}`)),
    objects.length ? make("ul", { class: "chips", role: "list" }, ...chips) : null,
    objects.length ? make("label", { class: "check" }, all, "Draw all boxes") : null,
  );
}

/** Captions of the library that fit, each with a button that copies it. */
export function recommendedOf(recommendations, library) {
  const items = recommendations.map(({ caption, similarity, theme }) => {
    const copies = button("Copy", { look: "button-small", picture: "copy", label: `Copy: ${caption}` }, () => copy(caption, "Caption", copies));
    const about = make("p", { class: "note" }, "similarity ", make("span", { class: "number" }, number(similarity)), theme ? ` · ${theme}` : "");
    return make("li", {}, make("div", {}, make("p", { dir: "auto" }, caption), about), copies);
  });
  return make("section", { class: "described-captions" }, make("h3", {}, "Captions that fit", make("span", { class: "soft" }, ` from “${library}”`)), make("ol", { role: "list" }, ...items));
}

/** Photographs of the index: each links to what is like it. */
export function similarOf(similar, index) {
  const lists = [["Similar in meaning", similar.meaning], ["Similar in look", similar.look]];
  return lists.map(([title, hits]) =>
    make("section", {}, make("h2", {}, title, make("span", { class: "soft" }, ` in “${index}”`)), make("ul", { class: "hits", role: "list", "aria-label": title }, ...hits.map((hit) => make("li", {}, link(hit, index))))),
  );
}

function link({ id, name, caption, semantic, visual, thumbnail }, index) {
  const image = make("img", { alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => (image.hidden = true));
  showPicture(image, thumbnail);
  const scores = [["meaning", semantic], ["look", visual]].filter(([, value]) => value !== null);
  const said = [name, caption, ...scores.map(([what, value]) => `${what} ${number(value)}`)].filter(Boolean);
  return make(
    "a",
    { class: "hit", href: `#search?${new URLSearchParams({ like: id, index })}`, title: name, "aria-label": `${said.join(", ")}. Find what is like it.`, data: { name } },
    make("span", { class: "hit-frame" }, image),
    make("span", { class: "hit-scores", "aria-hidden": "true" }, ...scores.map(([what, value]) => make("span", {}, `${what} `, make("b", {}, number(value))))),
  );
}
