// Requests about libraries and indexes.

import { patiently, send } from "./api.js";

const json = (method, path, body, signal) =>
  send(method, path, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, signal });

/** Repeats a request until what it needs is loaded, however long that takes. */
async function loaded(attempt, waiting) {
  for (;;) {
    try {
      return await patiently(attempt, waiting);
    } catch (error) {
      if (error.status !== 503) throw error;
    }
  }
}

/** The libraries of the service, the default first. */
export const libraries = async (waiting) => (await loaded(() => send("GET", "v1/libraries"), waiting)).libraries;

/** A library with its captions. */
export const library = (name) => send("GET", `v1/libraries/${encodeURIComponent(name)}`);

/** The indexes of the service, the default first. */
export const indexes = async (waiting) => (await loaded(() => send("GET", "v1/indexes"), waiting)).indexes;

export const index = (name) => send("GET", `v1/indexes/${encodeURIComponent(name)}`);

export const refresh = (name) => send("POST", `v1/indexes/${encodeURIComponent(name)}/refresh`);

/** The detectors of the service: one or none. */
export const detectors = async (waiting) => (await loaded(() => send("GET", "v1/detectors"), waiting)).detectors;

/** Everything about one photograph. */
export async function describe(file, signal) {
  const images = [await base64(file)];
  return patiently(() => json("POST", "v1/descriptions", { images }, signal), undefined, signal);
}

/** Captions for one photograph. */
export async function recommend(file, fields, signal) {
  const images = [await base64(file)];
  const answer = await patiently(() => json("POST", "v1/recommendations", { images, ...fields }, signal), undefined, signal);
  return { ...answer, recommendations: answer.results[0].recommendations };
}

/**
 * Searches an index.
 * @param {{text?: string, like?: number, words?: string, image?: File}} query
 * @param {Object} fields of the API
 */
export async function search(query, fields, signal) {
  const { image, ...rest } = query;
  const body = { ...rest, ...fields, ...(image ? { image: await base64(image) } : {}) };
  return patiently(() => json("POST", "v1/search", body, signal), undefined, signal);
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^data:[^,]*,/, ""));
    reader.onerror = () => reject(new Error("The file cannot be read. It was moved or changed, or it is a folder."));
    reader.readAsDataURL(file);
  });
}
