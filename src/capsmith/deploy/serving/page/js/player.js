// Shows the words of a caption one after the other.

const PAUSE = 850; // milliseconds a word

export class Player {
  /**
   * @param {import("./words.js").Words} words
   * @param {function(boolean): void} changed hears whether it plays
   */
  constructor(words, changed) {
    this.words = words;
    this.changed = changed;
    this.timer = null;
  }

  get playing() {
    return this.timer !== null;
  }

  toggle() {
    if (this.playing) this.stop();
    else this.start();
  }

  start() {
    this.changed(true);
    this.step(0);
  }

  step(index) {
    if (index >= this.words.buttons.length || !this.words.node.isConnected) return this.stop();
    this.words.look(index);
    this.timer = setTimeout(() => this.step(index + 1), PAUSE);
    return undefined;
  }

  stop() {
    if (!this.playing) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.words.leave();
    this.changed(false);
  }
}
