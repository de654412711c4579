// Elements of the studio, made by the service's page: text is always set as text, so a caption never becomes markup.

import { make as element } from "../../js/dom.js";

/** @returns the element with an id. */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element.
 * @param {string} tag name, with classes behind dots: "button.button.button-main"
 * @param {Object} properties as of the service's `make`
 * @param {...(Node|string)} children
 */
export function make(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  return element(name, { class: classes.join(" ") || null, ...properties }, ...children);
}

/** Makes an icon from the symbols of studio.html. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Sets the text of a node only if it differs, so that a live region speaks only of changes. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Says whether a person is writing in an element. */
export function isWriting(node) {
  return (
    node instanceof HTMLElement &&
    (node.isContentEditable || node.matches("textarea, select, input:not([type=checkbox], [type=radio])"))
  );
}

const formats = new Intl.NumberFormat("en");

/** Writes a whole number with separators: 1,204. */
export const count = (value) => formats.format(value);

/** Writes a number with its noun: "1 image", "1,204 images". */
export const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
