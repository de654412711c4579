// The options of the search: a form, the fields of a request, and what they are in a few words.

const SEARCHES = { greedy: "word by word", beam: "beam search", sample: "random" };
const LISTS = ["include", "exclude"];
const BELONG = {
  beam_size: ["beam"],
  length_penalty: ["beam"],
  include: ["greedy", "beam"],
  temperature: ["sample"],
  top_k: ["sample"],
  top_p: ["sample"],
  seed: ["sample"],
};

export class Options {
  /**
   * @param {HTMLFormElement} form its fields have the names of the API
   * @param {function(): void} changed
   */
  constructor(form, changed) {
    this.form = form;
    this.own = {}; // the model's own settings
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      this.arrange();
      changed();
    });
    form.addEventListener("reset", () => setTimeout(() => (this.arrange(), changed())));
    this.arrange();
  }

  /** The search that a request runs. */
  get search() {
    return this.form.elements.search.value || this.own.type || "beam";
  }

  /** Shows what the model does where nothing is chosen. */
  describe(decoding) {
    this.own = decoding ?? {};
    this.form.elements.search.options[0].textContent = `As the model was set up (${SEARCHES[this.search]})`;
    for (const field of this.form.elements) {
      if (field.type === "number") field.placeholder = this.own[field.name] ?? "";
    }
    this.arrange();
  }

  /** Only the fields of the chosen search are open. */
  arrange() {
    for (const [name, searches] of Object.entries(BELONG)) {
      const field = this.form.elements[name];
      const open = searches.includes(this.search);
      field.disabled = !open;
      field.closest("[data-option]").hidden = !open;
    }
  }

  /** Whether all values are within their bounds; shows the first one that is not. */
  valid() {
    return this.form.reportValidity();
  }

  /**
   * What a request says about the search: only what was chosen.
   * @returns {[string, string][]} a list named twice appears twice
   */
  fields() {
    const found = [];
    for (const field of this.form.elements) {
      const value = field.name && !field.disabled ? field.value.trim() : "";
      if (!value) continue;
      if (LISTS.includes(field.name)) found.push(...wordsOf(value).map((word) => [field.name, word]));
      else found.push([field.name, value]);
    }
    return found;
  }

  /** The options in a few words. */
  summary() {
    const fields = this.fields();
    if (!fields.length) return "as the model was set up";
    return fields.map(([name, value]) => (name === "search" ? SEARCHES[value] : `${name.replace("_", " ")} ${value}`)).join(" · ");
  }
}

/** The words or phrases of a line, divided by commas. */
export const wordsOf = (line) => line.split(",").map((word) => word.trim()).filter(Boolean);

/**
 * All fields of a request beside its image.
 * @param {{name: string, attends: boolean}} model
 * @param {boolean} named whether the request names the model: not needed if there is only one
 */
export function fieldsOf(options, model, named) {
  const fields = named ? [["model", model.name]] : [];
  if (model.attends) fields.push(["attention", "true"]);
  return [...fields, ...options.fields()];
}
