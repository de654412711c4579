// Calls of the studio's HTTP API.

const ROOT = new URL("v1/studio/", document.baseURI);
const PATIENCE = 20_000; // milliseconds until a server that does not answer counts as gone
const BUSY = new Set([408, 425, 429, 502, 503, 504]); // worth another try

export const GONE = "The server does not answer.";

/** The server cannot be reached, or asks to be called again later. */
export class Unreachable extends Error {}

/** The server refused a request, with the problem that it named (RFC 9457). */
export class Refused extends Error {
  constructor(status, problem) {
    super(
      problem.errors?.map((one) => one.detail).join("; ") ||
        problem.detail ||
        problem.title ||
        `The server answered ${status}`,
    );
    this.message = sentence(this.message);
    this.status = status;
    this.problem = problem;
  }
}

/** @returns {URL} the address of a part of an image: "thumbnail" or "picture". */
export const imageUrl = (id, part) => new URL(`images/${id}/${part}`, ROOT);

/** @returns {URL} the address of the captions as one table. */
export const tableUrl = () => new URL("captions.csv", ROOT);

export const listImages = (query, offset, limit, signal) =>
  call("GET", `images?${new URLSearchParams({ ...query, offset, limit })}`, { signal });
export const readImages = (ids) =>
  call("GET", `images?${new URLSearchParams({ ids: ids.join(",") })}`).then(({ images }) => images);
export const readImage = (id, signal) => call("GET", `images/${id}`, { signal });
export const writeImage = (id, caption, status, revision) =>
  call("PUT", `images/${id}`, { body: { caption, status, revision } });
export const readProgress = () => call("GET", "progress");
export const scanFolder = () => call("POST", "scan");
export const writeExports = (formats) => call("POST", "exports", { body: { formats } });
export const readTraining = () => call("GET", "retrain");
export const startTraining = () => call("POST", "retrain", { body: {} });
export const stopTraining = () => call("DELETE", "retrain");

async function call(method, path, { body, signal } = {}) {
  const limit = AbortSignal.timeout(PATIENCE);
  let response;
  let answer;
  try {
    response = await fetch(new URL(path, ROOT), {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
    });
    answer = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable(GONE);
  }
  if (BUSY.has(response.status)) throw new Unreachable(sentence(parsed(answer).detail ?? "the server is busy"));
  if (!response.ok) throw new Refused(response.status, parsed(answer));
  return parsed(answer);
}

/** Problems begin in lower case and end without a stop. */
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
