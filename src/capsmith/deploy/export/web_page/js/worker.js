// Runs the captioner outside the page's thread, so that the page stays responsive. One image at a time, in order.

import { Captioner, LoadError } from "./captioner.js";
import { ImageError } from "./image.js";

const base = new URL("../", import.meta.url);
const loading = Captioner.load(base, (loaded, total) => postMessage({ type: "progress", loaded, total }));
let last = Promise.resolve();

loading.then(
  ({ threads }) => postMessage({ type: "ready", threads }),
  (error) => {
    if (!(error instanceof LoadError)) console.warn(error);
    const known = error instanceof LoadError ? error.message : "The captioner could not be started in this browser. Try a current version of it.";
    postMessage({ type: "failed", message: known });
  },
);

self.addEventListener("message", ({ data: { id, file } }) => {
  last = last.then(() => caption(id, file));
});

async function caption(id, file) {
  try {
    const captioner = await loading;
    postMessage({ type: "captioned", id, ...(await captioner.caption(file)) });
  } catch (error) {
    if (error instanceof LoadError) return;
    if (!(error instanceof ImageError)) console.warn(error);
    const message = error instanceof ImageError ? error.message : "The image could not be captioned.";
    postMessage({ type: "refused", id, message });
  }
}
