// One trained model of an export: encoders, decoder start and decoder step, run by onnxruntime-web.

import { joinFeatures } from "./features.js";

/** @typedef {{run: (feeds: object) => Promise<object>, inputNames: string[], outputNames: string[]}} Session */

export class Model {
  /**
   * @param {object} ort onnxruntime-web
   * @param {object} entry the model's entry in the manifest
   * @param {(file: string) => Promise<Session>} open opens a file of the model
   */
  static async load(ort, entry, open) {
    const encoders = [];
    for (const encoder of entry.encoders) encoders.push(await open(encoder.file));
    return new Model(ort, entry, encoders, await open(entry.start), await open(entry.step));
  }

  constructor(ort, entry, encoders, start, step) {
    Object.assign(this, { ort, entry, encoders, startSession: start, stepSession: step });
  }

  /** Returns the features of one image: `pixels(size)` gives its pixels at a size (height, width). */
  async encode(pixels) {
    const parts = [];
    for (const [number, session] of this.encoders.entries()) {
      const { image_size: size, feature_shape: shape } = this.entry.encoders[number];
      const input = new this.ort.Tensor("uint8", pixels(size), [1, ...size, 3]);
      const { features } = await session.run({ pixels: input });
      parts.push({ data: features.data, shape });
    }
    return joinFeatures(parts, this.entry.store_float16);
  }

  /** Starts the decoder; returns a `Step` of search.js. */
  async start(features) {
    const { ort, entry, stepSession } = this;
    const outputs = await this.startSession.run({
      features: new ort.Tensor("float32", features, [1, ...entry.feature_shape]),
    });
    const names = Array.from({ length: entry.state }, (_, n) => `state_${n}`);
    const fixed = Object.fromEntries(names.slice(0, entry.n_static).map((name) => [name, outputs[name]]));
    const recurrent = names.slice(entry.n_static);
    let state = recurrent.map((name) => outputs[name]);
    return async (tokens, parents) => {
      const rows = state.map((tensor) => reorder(ort, tensor, parents));
      const feeds = { ...fixed, tokens: new ort.Tensor("int32", tokens, [tokens.length]) };
      recurrent.forEach((name, index) => (feeds[name] = rows[index]));
      const results = await stepSession.run(feeds);
      state = recurrent.map((name) => results[`next_${name}`]);
      return results.log_probs.data;
    };
  }
}

/** Returns a tensor of the rows `parents` of a tensor. */
function reorder(ort, tensor, parents) {
  const [, ...shape] = tensor.dims;
  const size = shape.reduce((product, n) => product * n, 1);
  const data = new tensor.data.constructor(parents.length * size);
  parents.forEach((parent, row) => data.set(tensor.data.subarray(parent * size, (parent + 1) * size), row * size));
  return new ort.Tensor(tensor.type, data, [parents.length, ...shape]);
}

/** Returns a step whose next word follows the mean of the models' probabilities. */
export function ensembleStep(steps) {
  if (steps.length === 1) return steps[0];
  return async (tokens, parents) => {
    const all = [];
    for (const step of steps) all.push(await step(tokens, parents));
    return all[0].map((_, i) => {
      let highest = -Infinity;
      let sum = 0;
      for (const logProbs of all) highest = Math.max(highest, logProbs[i]);
      if (highest === -Infinity) return highest;
      for (const logProbs of all) sum += Math.exp(logProbs[i] - highest);
      return highest + Math.log(sum / all.length);
    });
  };
}
