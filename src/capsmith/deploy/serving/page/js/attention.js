// Where the model looked, over a photograph: the rest is darkened, and a light line surrounds the place, so that it shows
// on dark and on bright photographs.

import { contour, smooth } from "./field.js";

const CELLS = 96; // of the longer side; the canvas is drawn from these
const VEIL = [9, 11, 15]; // red, green, blue
const DARKEST = 0.66; // opacity of the veil where the model did not look
const LEVEL = 0.55; // the line is where the weight is this part of the highest
const FADE = 180; // milliseconds

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export class Attention {
  /**
   * @param {HTMLCanvasElement} canvas lies exactly over the photograph, sized by CSS
   */
  constructor(canvas) {
    this.canvas = canvas;
    this.field = null; // what is drawn now
    this.opacity = 0;
    this.fields = new WeakMap();
    this.size = [CELLS, CELLS];
    this.frame = 0;
    new ResizeObserver(() => this.field && this.draw()).observe(canvas);
  }

  /** Shows a map of weights: rows of numbers. */
  show(map) {
    this.run(this.fieldOf(map), 1);
  }

  /** Shows the photograph again as it is. */
  hide() {
    if (this.field) this.run(this.field, 0);
  }

  fieldOf(map) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const scale = CELLS / Math.max(width, height, 1);
    const size = [Math.max(8, Math.round(width * scale)), Math.max(8, Math.round(height * scale))];
    if (size.join() !== this.size.join()) {
      this.size = size;
      this.fields = new WeakMap();
      this.field = null;
    }
    if (!this.fields.has(map)) this.fields.set(map, smooth(map, ...size));
    return this.fields.get(map);
  }

  /** Moves from what is shown to another field and opacity. */
  run(field, opacity) {
    cancelAnimationFrame(this.frame);
    const [from, before] = [this.field ?? field, this.opacity];
    this.canvas.dataset.shown = opacity;
    const began = performance.now();
    const step = (now) => {
      const linear = still() ? 1 : Math.min(1, Math.max(0, now - began) / FADE);
      const part = linear * (2 - linear);
      this.field = part === 1 ? field : from.map((value, index) => value + part * (field[index] - value));
      this.opacity = before + part * (opacity - before);
      this.draw();
      if (part < 1) this.frame = requestAnimationFrame(step);
      else this.canvas.dataset.settled = opacity;
    };
    delete this.canvas.dataset.settled;
    this.frame = requestAnimationFrame(step);
  }

  draw() {
    const { canvas, field } = this;
    const ratio = Math.min(2, devicePixelRatio || 1);
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    const context = canvas.getContext("2d");
    if (!this.opacity) return;
    const [columns, rows] = this.size;
    context.imageSmoothingQuality = "high";
    context.drawImage(veil(field, columns, rows, this.opacity), 0, 0, canvas.width, canvas.height);
    this.outline(context, contour(field, columns, rows, LEVEL), ratio);
  }

  outline(context, lines, ratio) {
    const [columns, rows] = this.size;
    const [wide, high] = [this.canvas.width / columns, this.canvas.height / rows];
    const path = new Path2D();
    for (const [x1, y1, x2, y2] of lines) {
      path.moveTo((x1 + 0.5) * wide, (y1 + 0.5) * high);
      path.lineTo((x2 + 0.5) * wide, (y2 + 0.5) * high);
    }
    context.lineCap = "round";
    context.globalAlpha = this.opacity;
    for (const [width, colour] of [[5, "rgb(0 0 0 / 45%)"], [2, "#ffe9b0"]]) {
      context.lineWidth = width * ratio;
      context.strokeStyle = colour;
      context.stroke(path);
    }
    context.globalAlpha = 1;
  }
}

function veil(field, columns, rows, opacity) {
  const canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let index = 0; index < field.length; index++) {
    const clear = Math.min(1, field[index] / (LEVEL * 1.25)) ** 1.5;
    image.data.set([...VEIL, 255 * DARKEST * opacity * (1 - clear)], 4 * index);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
