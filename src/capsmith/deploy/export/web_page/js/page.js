// The page: takes photos from the visitor, hands them to the worker, and shows what comes back.

import { Card } from "./card.js";
import { whenReady } from "./offline.js";

const element = (id) => document.getElementById(id);
const cards = new Map();
const worker = startWorker();
element("unserved").remove();

/** Starts the worker from a blob, because such a worker inherits the page's Content-Security-Policy. */
function startWorker() {
  const code = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const started = new Worker(url, { type: "module" });
  started.addEventListener("message", ({ data }) => received[data.type](data));
  started.addEventListener("error", () => received.failed({ message: "The captioner could not be loaded. Check the connection and load the page again." }));
  return started;
}

const received = {
  progress({ loaded, total }) {
    element("progress").max = total;
    element("progress").value = loaded;
    element("loading").firstElementChild.textContent = `Loading the captioner: ${megabytes(loaded)} of ${megabytes(total)} MB`;
  },
  ready({ threads }) {
    element("loading").hidden = true;
    document.body.dataset.threads = threads;
    document.body.dataset.ready = "";
    whenReady();
  },
  failed({ message }) {
    element("loading").hidden = true;
    element("failure").textContent = message;
    element("failure").hidden = false;
    document.body.dataset.failed = "";
    for (const card of cards.values()) card.drop();
  },
  captioned({ id, captions, milliseconds }) {
    const card = cards.get(id);
    if (!card) return; // cleared meanwhile
    card.show(captions, milliseconds);
    element("status").textContent = `${card.name}: ${captions[0].text}`;
  },
  refused({ id, message }) {
    const card = cards.get(id);
    if (!card) return;
    card.refuse(message);
    element("status").textContent = `${card.name}: ${message}`;
  },
};

/** Shows photos above those that are there, in the order in which they were chosen, and asks for their captions. */
function add(files) {
  if (!files.length || "failed" in document.body.dataset) return;
  document.body.classList.add("started");
  const added = Array.from(files, (file) => {
    const card = new Card(element("card").content, file);
    cards.set(card.id, card);
    worker.postMessage({ id: card.id, file });
    return card;
  });
  element("cards").prepend(...added.map((card) => card.node));
  element("tools").hidden = false;
  element("copy-all").hidden = cards.size < 2;
}

element("files").addEventListener("change", ({ target }) => {
  add(target.files);
  target.value = ""; // the same photo may be chosen again
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) {
    event.preventDefault();
    add(event.clipboardData.files);
  }
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  add(event.dataTransfer.files);
});
element("clear").addEventListener("click", () => {
  for (const card of cards.values()) card.remove();
  cards.clear();
  element("tools").hidden = true;
  document.body.classList.remove("started");
  element("files").focus();
});
element("copy-all").addEventListener("click", async ({ currentTarget }) => {
  const shown = Array.from(element("cards").children, (node) => cards.get(node.id)).filter((card) => card.text);
  await navigator.clipboard.writeText(shown.map((card) => `${card.name}\t${card.text}`).join("\n"));
  currentTarget.textContent = "Copied";
  setTimeout(() => (element("copy-all").textContent = "Copy all captions"), 2000);
});

/** Says what the captioner learned from. */
async function describe() {
  const { labels } = await (await fetch(new URL("../manifest.json", import.meta.url))).json();
  if (!labels?.trained_on) return;
  element("trained").textContent = `Trained on ${labels.trained_on}. It describes what resembles them, and can be wrong about everything else.`;
  element("trained").hidden = false;
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(0);
}

describe().catch(() => {}); // the worker reports what cannot be loaded
