// Photographs come in: dropped anywhere, pasted, chosen, or taken with the camera; or they are examples of the page.

import { address } from "./api.js";

/** An example of the page as a file. */
export async function example(name) {
  const answer = await fetch(address(`static/examples/${name}`));
  return new File([await answer.blob()], name, { type: "image/jpeg" });
}

/**
 * @param {function(File[]): void} take
 * @param {HTMLInputElement[]} inputs of type file
 * @param {function(): void} nothing is called if something without files was dropped
 */
export function intake(take, inputs, nothing) {
  inputs.forEach((input) =>
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = ""; // the same file may be chosen again
    }),
  );
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return; // text, for a field
    event.preventDefault();
    take(files);
  });
  drops(take, nothing);
}

function drops(take, nothing) {
  let depth = 0; // elements that the pointer has entered and not left
  const show = (change) => {
    depth = Math.max(0, depth + change);
    document.body.toggleAttribute("data-dropping", depth > 0);
  };
  const brings = ({ dataTransfer }) => [...(dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragenter", (event) => brings(event) && show(1));
  document.addEventListener("dragleave", (event) => brings(event) && show(-1));
  document.addEventListener("dragover", (event) => event.preventDefault()); // or the browser opens the file
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    show(-depth);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length) take(files);
    else nothing();
  });
}
