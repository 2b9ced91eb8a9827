/** The translation on the page: its words, which can be pointed at and chosen. */

const DOUBTFUL = 0.4, STRONG = 0.15; // the confidences below which words are marked

export class TranslationView {
  constructor({ translation, spoken, shadow, text }) {
    Object.assign(this, { translation, spoken, shadow, text });
    this.result = { text: "", words: [] };
    this.elements = [];
    this.onChoose = () => {};
    this.markDoubts(true);
    translation.addEventListener("pointerover", ({ target }) => this.linkTarget(target));
    translation.addEventListener("pointerleave", () => this.linkTarget(null));
    translation.addEventListener("focusin", ({ target }) => this.linkTarget(target));
    translation.addEventListener("focusout", () => this.linkTarget(null));
    translation.addEventListener("click", ({ target }) => this.choose(target));
    translation.addEventListener("keydown", (event) => this.press(event));
  }

  /** Show a translation. */
  show(result, texts) {
    this.result = result;
    const content = [], elements = [];
    let done = 0;
    for (const word of result.words) {
      const element = document.createElement("span");
      element.textContent = result.text.slice(word.start, word.end);
      element.setAttribute("role", "button");
      element.setAttribute("aria-haspopup", "listbox");
      element.tabIndex = elements.length ? -1 : 0;
      if (word.confidence !== null && word.confidence < DOUBTFUL) {
        element.dataset.doubt = word.confidence < STRONG ? "strong" : "some";
      }
      if (word.confidence !== null) element.title = texts.confidence(Math.round(100 * word.confidence));
      content.push(result.text.slice(done, word.start), element);
      elements.push(element);
      done = word.end;
    }
    this.elements = elements;
    this.translation.replaceChildren(...content, result.text.slice(done));
    this.translation.classList.remove("old");
    this.spoken.textContent = result.text;
    this.highlight(null);
  }

  markOld() {
    this.translation.classList.add("old");
  }

  markDoubts(marked) {
    this.translation.classList.toggle("doubts", marked);
  }

  /** Highlight the source of a word of the translation. While a word shows its alternatives, its own source stays. */
  linkTarget(element) {
    if (this.elements.some((one) => one.ariaExpanded === "true")) return;
    const word = this.result.words[this.elements.indexOf(element)];
    this.highlight(word?.source ?? null);
  }

  /** Highlight the words whose source is at a place of the text. */
  linkSource(place) {
    this.elements.forEach((element, index) => {
      const { source } = this.result.words[index];
      element.classList.toggle("linked", Boolean(source && source[0] <= place && place <= source[1]));
    });
  }

  highlight(range) {
    const { value } = this.text;
    if (!range) {
      this.shadow.replaceChildren();
      return;
    }
    const mark = document.createElement("mark");
    mark.textContent = value.slice(...range);
    this.shadow.dir = getComputedStyle(this.text).direction;
    this.shadow.replaceChildren(value.slice(0, range[0]), mark, value.slice(range[1]));
  }

  choose(element) {
    const index = this.elements.indexOf(element);
    if (index < 0 || String(getSelection())) return; // a selection is for copying
    this.enter(element);
    this.onChoose({ ...this.result.words[index], element });
  }

  press(event) {
    const index = this.elements.indexOf(event.target);
    if (index < 0) return;
    const forward = getComputedStyle(this.translation).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      getSelection().removeAllRanges();
      this.choose(event.target);
    } else if (event.key in moves) {
      event.preventDefault();
      const step = Math.abs(moves[event.key]) === 1 ? (event.key === forward ? 1 : -1) : moves[event.key];
      this.enter(this.elements[Math.min(this.elements.length - 1, Math.max(0, index + step))]);
    }
  }

  /** Move the focus to a word. Only this word is then reached by the tab key. */
  enter(element) {
    for (const other of this.elements) other.tabIndex = other === element ? 0 : -1;
    element.focus();
  }

  /** Move the focus to the word at a place of the translation. */
  focus(place) {
    const index = this.result.words.findIndex((word) => word.start <= place && place < word.end);
    if (index >= 0) this.enter(this.elements[index]);
  }
}
