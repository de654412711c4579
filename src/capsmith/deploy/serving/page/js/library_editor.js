// The library, which can be changed in place: lines are edited, added, removed, imported and exported.

import { announce } from "./announce.js";
import { button, make } from "./dom.js";
import { cleaned, libraryCsv, parseLibrary } from "./library_file.js";
import { save, stem } from "./texts.js";

const PAUSE = 450; // milliseconds without a key after which a change counts
const element = (id) => document.getElementById(id);

export class LibraryEditor {
  /** @param {function(): void} changed hears that captions changed */
  constructor(changed) {
    this.changed = changed;
    this.own = []; // as the server has it
    this.entries = [];
    this.edited = false;
    this.name = "library";
    this.list = element("library-entries");
    this.list.addEventListener("input", ({ target }) => this.edit(target));
    this.list.addEventListener("click", ({ target }) => target.closest(".remove-entry") && this.remove(target.closest(".entry")));
    element("library-add").addEventListener("submit", (event) => this.add(event));
    element("library-filter").addEventListener("input", () => this.filter());
    element("library-restore").addEventListener("click", () => this.restore());
    element("library-export").addEventListener("click", () => this.export());
    element("library-file").addEventListener("change", ({ target }) => this.import(target));
  }

  /** Shows a library of the server. */
  open({ name, entries }) {
    this.name = name;
    this.own = entries.map(cleaned);
    this.set(this.own, false);
  }

  set(entries, edited) {
    this.entries = entries.map((entry) => ({ ...entry }));
    this.edited = edited;
    this.list.replaceChildren(...this.entries.map((entry) => this.row(entry)));
    this.arrange();
  }

  row(entry) {
    const field = (name, label, more = {}) =>
      make("input", { class: "field", value: entry[name], data: { name }, "aria-label": label, maxlength: 500, ...more });
    const row = make(
      "li",
      { class: "entry" },
      field("caption", "Caption"),
      field("description", "What a fitting photograph shows", { placeholder: "the caption itself" }),
      field("theme", "Theme", { list: "library-themes", placeholder: "no theme", maxlength: 100 }),
      button("", { look: "button-quiet remove-entry", picture: "close", label: `Remove: ${entry.caption}` }, () => {}),
    );
    row.entry = entry;
    return row;
  }

  edit(field) {
    const { entry } = field.closest(".entry");
    entry[field.dataset.name] = cleaned({ [field.dataset.name]: field.value })[field.dataset.name];
    this.soon();
  }

  soon() {
    this.edited = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), PAUSE);
  }

  now() {
    clearTimeout(this.timer);
    this.arrange();
    this.changed();
  }

  add(event) {
    event.preventDefault();
    const form = event.target;
    const entry = cleaned(Object.fromEntries(new FormData(form)));
    if (!entry.caption) return;
    this.entries.unshift(entry);
    this.list.prepend(this.row(entry));
    form.reset();
    form.elements.caption.focus();
    this.edited = true;
    announce(`Added: ${entry.caption}`);
    this.now();
  }

  remove(row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    this.entries.splice(this.entries.indexOf(row.entry), 1);
    row.remove();
    (next?.querySelector(".remove-entry") ?? element("library-add").elements.caption).focus();
    this.edited = true;
    announce(`Removed: ${row.entry.caption}`);
    this.now();
  }

  restore() {
    this.set(this.own, false);
    announce("The library is as the server has it");
    this.changed();
  }

  async import(input) {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    try {
      this.set(parseLibrary(await file.text(), file.name), true);
    } catch (error) {
      element("library-count").textContent = error.message;
      return;
    }
    announce(`${this.entries.length} captions from ${file.name}`);
    this.changed();
  }

  export() {
    save(libraryCsv(this.lines), `${stem(this.name)}.csv`, "text/csv");
    announce("The library is downloaded");
  }

  /** The captions that are not empty. */
  get lines() {
    return this.entries.filter(({ caption }) => caption);
  }

  /** The themes in their order. */
  get themes() {
    return [...new Set(this.entries.map(({ theme }) => theme).filter(Boolean))];
  }

  /** The captions as a request has them. */
  get captions() {
    return this.lines.map((entry) => Object.fromEntries(Object.entries(entry).filter(([, value]) => value)));
  }

  arrange() {
    const count = this.lines.length;
    element("library-count").textContent = `${count.toLocaleString("en")} caption${count === 1 ? "" : "s"}${this.edited ? ", changed" : ""}`;
    element("library-restore").hidden = !this.edited;
    element("library-themes").replaceChildren(...this.themes.map((theme) => make("option", { value: theme })));
    this.filter();
  }

  filter() {
    const words = element("library-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of this.list.children) {
      const text = Object.values(row.entry).join(" ").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  }

  /** Marks the captions that are recommended now. */
  mark(captions) {
    for (const row of this.list.children) {
      const rank = captions.indexOf(row.entry.caption);
      if (rank < 0) delete row.dataset.rank;
      else row.dataset.rank = rank + 1;
    }
  }
}
