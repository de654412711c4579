// The captioner: an image file in, captions out.

import { decodeImage, pixelsOf } from "./image.js";
import { ensembleStep, Model } from "./model.js";
import { search } from "./search.js";
import { decode, detokenise } from "./text.js";

const WASM = "ort/ort-wasm-simd-threaded.wasm";
const THREADS = 4; // as onnxruntime-web does: half of the processors, since they are often two to a core, and 4 at most

/** The captioner cannot be loaded; the message is a sentence for the visitor. */
export class LoadError extends Error {}

export class Captioner {
  /**
   * Loads the export that the page belongs to.
   * @param {URL} base its folder
   * @param {(loaded: number, total: number) => void} onProgress in bytes
   */
  static async load(base, onProgress) {
    const manifest = await (await fetchFile(base, "manifest.json")).json();
    if (manifest.format !== 1 || manifest.kind !== "web") throw new LoadError("The files of this page do not belong together.");
    const models = manifest.members.flatMap((entry) =>
      [...entry.encoders.map((encoder) => encoder.file), entry.start, entry.step].map((file) => join(entry.folder, file)),
    );
    const total = [WASM, ...models].reduce((sum, file) => sum + manifest.files[file].bytes, 0);
    let loaded = 0;
    const download = (file) =>
      bytesOf(base, file, manifest.files[file].bytes, (count) => onProgress((loaded += count), total));
    const json = async (file) => (await fetchFile(base, file)).json();
    const [ort, vocabulary, words, wasm] = await Promise.all([
      import("../ort/ort.wasm.min.js"),
      json("vocabulary.json"),
      json("words.json"),
      download(WASM),
    ]);
    Object.assign(ort.env.wasm, {
      numThreads: self.crossOriginIsolated ? Math.min(THREADS, Math.ceil((navigator.hardwareConcurrency || 1) / 2)) : 1,
      wasmPaths: { mjs: new URL("ort/ort-wasm-simd-threaded.js", base).href, wasm: new URL(WASM, base).href },
      wasmBinary: wasm,
    });
    ort.env.logLevel = "error";
    const members = [];
    for (const entry of manifest.members) {
      const open = async (file) =>
        ort.InferenceSession.create(await download(join(entry.folder, file)), { executionProviders: ["wasm"] });
      members.push(await Model.load(ort, entry, open));
    }
    return new Captioner(manifest, vocabulary, words, members, ort.env.wasm.numThreads);
  }

  constructor(manifest, vocabulary, words, members, threads) {
    Object.assign(this, { manifest, vocabulary, words, members, threads });
  }

  /**
   * Captions one image file.
   * @param {Blob} file
   * @returns captions, best first, each with its score; and the milliseconds that each part took
   */
  async caption(file) {
    const begun = performance.now();
    const bitmap = await decodeImage(file);
    const jpeg = await isJpeg(file);
    const sizes = new Map();
    const pixels = (size) => {
      if (!sizes.has(String(size))) sizes.set(String(size), pixelsOf(bitmap, size, jpeg));
      return sizes.get(String(size));
    };
    for (const { entry } of this.members) for (const encoder of entry.encoders) pixels(encoder.image_size);
    bitmap.close();
    const decoded = performance.now();
    const features = [];
    for (const member of this.members) features.push(await member.encode(pixels));
    const encoded = performance.now();
    const steps = [];
    for (const [number, member] of this.members.entries()) steps.push(await member.start(features[number]));
    const found = await search(ensembleStep(steps), this.manifest.decoding, this.words);
    const end = performance.now();
    return {
      captions: found.map(({ tokens, score }) => ({
        text: detokenise(decode(tokens, this.vocabulary), this.manifest.text),
        score,
      })),
      milliseconds: { decode: decoded - begun, encoder: encoded - decoded, search: end - encoded, total: end - begun },
    };
  }
}

/** Whether a file begins as a JPEG does; its name and type may say otherwise. */
async function isJpeg(file) {
  const head = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  return head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff;
}

async function fetchFile(base, name) {
  let response;
  try {
    response = await fetch(new URL(name, base));
  } catch {
    throw new LoadError(`${name} could not be loaded. Check the connection and load the page again.`);
  }
  if (!response.ok) throw new LoadError(`${name} could not be loaded (${response.status}). Load the page again.`);
  return response;
}

async function bytesOf(base, name, size, onBytes) {
  const response = await fetchFile(base, name);
  const bytes = new Uint8Array(size);
  let place = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (place + part.value.length <= size) bytes.set(part.value, place);
    place += part.value.length;
    onBytes(part.value.length);
  }
  if (place !== size) throw new LoadError(`${name} is incomplete or from another version. Load the page again.`);
  return bytes;
}

function join(folder, file) {
  return folder === "." ? file : `${folder}/${file}`;
}
