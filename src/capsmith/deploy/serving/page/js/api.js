// Requests to the service: only to the origin that served the page.

const KEY = "capsmith-key";
const TRIES = 6; // while the service is busy or still loading its models
const LONGEST = 20; // seconds to wait for another try

/** Address of an operation, relative to the page. */
export const address = (path) => new URL(path, document.baseURI).href;

/** The API key, for as long as this tab is open. */
export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** Why a request was not answered; its message is for the reader. `status` is 0 if there was no answer. */
export class Failure extends Error {
  constructor(status, message, wait = null, errors = []) {
    super(message);
    this.status = status;
    this.wait = wait;
    this.errors = errors;
  }

  get passes() {
    return this.status === 429 || this.status === 503;
  }
}

const MESSAGES = {
  0: "The server does not answer. Is it still running?",
  401: "The server asks for an API key.",
  403: "The server refuses requests from this page.",
  408: "The upload took too long. Try again, or make the photograph smaller.",
  413: "The photograph is too large for the server.",
  415: "This file is not a photograph that can be read.",
  429: "The server is busy. Try again in a moment.",
  500: "The server failed. Its log says more.",
  503: "The server is not ready yet. Try again in a moment.",
  504: "The caption took too long. Try again.",
};

/** Turns an answer that is no success into a Failure; a problem document (RFC 9457) says more than its status. */
function failure(request) {
  const problem = parsed(request.responseText);
  const errors = Array.isArray(problem?.errors) ? problem.errors : [];
  const details = errors.map(({ field, detail }) => (field === "image" ? detail : `${field}: ${detail}`));
  const own = { 401: true, 413: true, 429: true, 500: true, 503: true }[request.status];
  const said = details.length ? details.join("; ") : problem?.detail;
  const known = MESSAGES[request.status] ?? `The server answered ${request.status}.`;
  const message = own || !said ? known : joined(known, said, request.status);
  return new Failure(request.status, message, Number(request.getResponseHeader("Retry-After")) || null, errors);
}

const joined = (known, said, status) => (status === 422 ? sentence(said) : `${known} (${said})`);

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".");

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Sends one request.
 * @param {string} method
 * @param {string} path relative to the page
 * @param {{body?: any, headers?: Object, progress?: function(number): void, signal?: AbortSignal}} [options]
 *   `progress` hears which part of the upload is done
 * @returns {Promise<any>} the JSON of the answer; null if it has no body
 * @throws {Failure}
 */
export function send(method, path, { body = null, headers = {}, progress, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not say how much of an upload is done
    request.open(method, address(path));
    request.setRequestHeader("Accept", "application/json, application/problem+json");
    if (key.get()) request.setRequestHeader("Authorization", `Bearer ${key.get()}`);
    Object.entries(headers).forEach(([name, value]) => request.setRequestHeader(name, value));
    if (progress) request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
    request.onload = () => {
      if (request.status < 200 || request.status > 299) reject(failure(request));
      else if (!request.responseText) resolve(null);
      else resolve(parsed(request.responseText));
    };
    request.onerror = () => reject(new Failure(0, MESSAGES[0]));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

/**
 * Sends a request again as long as the service is busy, as often and as late as it asks (Retry-After).
 * @param {function(): Promise<any>} attempt
 * @param {function(Failure, number): void} [waiting] hears why, and for how many seconds
 */
export async function patiently(attempt, waiting, signal) {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!error.passes || tries === TRIES) throw error;
      const seconds = Math.min(error.wait ?? 2 ** (tries - 1), LONGEST);
      waiting?.(error, seconds);
      await pause(seconds, signal);
    }
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    });
  });
}

/** The models of the service, the default first. */
export async function models(waiting) {
  const { models: found } = await patiently(() => send("GET", "v1/models"), waiting);
  return found.toSorted((one, other) => Number(other.default) - Number(one.default));
}

/** For the browser, a file that it cannot read is a server that does not answer. */
async function readable(file) {
  try {
    await file.arrayBuffer();
  } catch {
    throw new Failure(0, "The file cannot be read. It was moved or changed, or it is a folder.");
  }
}

/**
 * Captions one photograph.
 * @param {File} file
 * @param {[string, string][]} fields form fields beside the image, as `fieldsOf` of options.js gives
 * @param {{progress?: function(number): void, waiting?: function(Failure, number): void, signal?: AbortSignal}} [options]
 * @returns {Promise<Object>} `{model, result}`, with one of the `results` of the API
 */
export async function caption(file, fields, { progress, waiting, signal } = {}) {
  const attempt = async () => {
    const body = new FormData();
    body.append("image", file, file.name || "photo");
    fields.forEach(([name, value]) => body.append(name, value));
    try {
      return await send("POST", "v1/captions", { body, progress, signal });
    } catch (error) {
      if (error.status === 0) await readable(file);
      throw error;
    }
  };
  const answer = await patiently(attempt, waiting, signal);
  return { model: answer.model, result: answer.results[0], answer };
}
