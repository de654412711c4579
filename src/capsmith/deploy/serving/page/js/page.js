// The page: its views, and of the first one: photographs in, captions out.

import { announce } from "./announce.js";
import * as api from "./api.js";
import { Describe } from "./describe.js";
import * as finding from "./finding_api.js";
import { example as exampleFile, intake } from "./intake.js";
import { Models } from "./models.js";
import { fieldsOf, Options } from "./options.js";
import { PhotoCard } from "./photo_card.js";
import { Recommend } from "./recommend.js";
import { Search } from "./search.js";
import { Views } from "./views.js";

const AT_ONCE = 4; // requests; the server captions them together
const element = (id) => document.getElementById(id);
const list = element("photos");
const cards = [];
const queue = [];
let running = 0;
let models = null;
let opened = null; // resolves when the models are known

const options = new Options(element("options"), () => {
  element("options-summary").textContent = options.summary();
  element("apply").hidden = !cards.length;
});

const failed = (error) => error.status === 401 && askForKey();
const describe = new Describe(failed);
const recommend = new Recommend(failed);
const search = new Search((parameters) => views.go("search", parameters), failed);
const captioning = { show: () => models && first(), take, skip: "results", drop: "Drop to caption" };
const views = new Views(element("views"), { caption: captioning, describe, recommend, search });

/** Shows the tabs if there is more than captions, or if that is still loading. */
async function offer() {
  const tabs = (shown) => shown && (element("views").hidden = false);
  const waiting = () => tabs(true);
  const parts = [[finding.libraries, recommend], [finding.indexes, search], [finding.detectors, null]];
  const counts = await Promise.all(parts.map(async ([get, view]) => {
    const found = await get(waiting);
    tabs(found.length);
    view?.offer(found);
    return found.length;
  }));
  describe.offer(counts.some(Boolean));
}

/** Adds photographs, the first of them in front. The page moves there if the visitor could not see it. */
function take(files, shown = true) {
  if (models) state("");
  const fresh = files.map((file) => new PhotoCard(file, { remove, again: enqueue, lead }));
  cards.unshift(...fresh);
  list.prepend(...fresh.map(({ node }) => node));
  fresh.forEach(enqueue);
  arranged();
  if (shown) reveal(fresh[0]);
  if (files.length > 1) announce(`${files.length} photographs`);
}

function reveal({ node }) {
  const { top } = node.getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) node.scrollIntoView({ block: "start" });
}

function remove(card) {
  cards.splice(cards.indexOf(card), 1);
  card.close();
  arranged();
  (list.querySelector(".remove") ?? element("files")).focus();
}

/** Shows a photograph in front, large. */
function lead(card) {
  cards.splice(cards.indexOf(card), 1);
  cards.unshift(card);
  list.prepend(card.node);
  arranged();
  reveal(card);
  card.node.querySelector("button:not([hidden])")?.focus({ preventScroll: true });
}

function arranged() {
  cards.forEach((card, index) => card.unfold(index === 0));
  element("results").hidden = !cards.length;
  element("clear").hidden = cards.length < 2;
  element("apply").hidden = !cards.length;
}

function enqueue(card) {
  card.wait("Waiting …");
  if (!queue.includes(card)) queue.push(card);
  work();
}

async function work() {
  if (running === AT_ONCE || !queue.length) return;
  const card = queue.shift();
  running++;
  try {
    await caption(card);
  } finally {
    running--;
    work();
  }
}

async function caption(card) {
  try {
    await (opened ?? start());
    if (!cards.includes(card)) return;
    const asked = models.chosen.map((model) => ({ model, fields: fieldsOf(options, model, models.several) }));
    const began = performance.now();
    const found = await Promise.all(
      asked.map(async (one) => ({ ...one, ...(await api.caption(card.file, one.fields, card.listeners)), model: one.model })),
    );
    card.show(found, performance.now() - began);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) askForKey(error);
    card.fail(error instanceof api.Failure ? error.message : "The page failed. Load it again.", error.status === 413);
    if (!(error instanceof api.Failure)) throw error;
  }
}

/** Captions all photographs again, with the options and models of now. */
function again() {
  if (options.valid()) cards.forEach(enqueue);
}

async function open() {
  try {
    const found = await api.models(() => state("The models are loading …"));
    models = new Models(found, element("models"), () => {
      described();
      again();
    });
    element("models-label").hidden = !models.several;
    described();
    state("");
    element("key").hidden = true;
    document.body.dataset.ready = "";
  } catch (error) {
    if (error.status === 401) askForKey(error);
    else state(error.message);
    document.body.dataset.failed = "";
    throw error;
  }
}

function described() {
  element("looks").hidden = !models.chosen.some(({ attends }) => attends);
  element("trained").textContent = models.sentences().join(" ");
  options.describe(models.chosen[0].decoding);
}

function state(text) {
  element("state").textContent = text;
  element("state").hidden = !text;
}

function askForKey() {
  if (api.key.get()) element("key-wrong").hidden = false;
  api.key.set("");
  element("key").hidden = false;
  element("key-field").focus();
}

function start() {
  delete document.body.dataset.failed;
  opened = open();
  opened.catch(() => (opened = null)); // the next photograph asks again
  return opened;
}

element("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  api.key.set(element("key-field").value.trim());
  element("key-field").value = "";
  element("key-wrong").hidden = true;
  await start();
  announce("The key is right");
  again();
  begin();
});

element("examples").addEventListener("click", async ({ target }) => {
  const choice = target.closest("[data-example]");
  if (choice) await example(choice);
});

async function example(choice, shown = true) {
  const name = choice.dataset.example;
  const before = cards.find((card) => card.example === name);
  if (before) return lead(before);
  take([await exampleFile(name)], shown);
  cards[0].example = name;
  return undefined;
}

/** A visitor who has not begun sees the first example captioned. */
function first() {
  if (!cards.length && views.name === "caption") example(document.querySelector("[data-example]"), false);
}

element("apply").addEventListener("click", again);
element("clear").addEventListener("click", () => {
  cards.splice(0).forEach((card) => card.close());
  queue.length = 0;
  arranged();
  element("files").focus();
  announce("No photographs");
});

function begin() {
  first();
  offer().catch((error) => failed(error) || state(error.message));
}

intake((files) => views.view.take(files), [element("files"), element("camera")], () => state("That was no photograph. Drop files from your device."));
element("server").textContent = location.host;
views.follow();
start().then(begin, () => {});
