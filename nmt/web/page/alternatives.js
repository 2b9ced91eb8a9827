/** The list of alternatives below a word of the translation. */

export class AlternativesMenu {
  constructor(list, view) {
    Object.assign(this, { list, view, word: null, give: () => {} });
    list.addEventListener("keydown", (event) => this.press(event));
    const find = (target) => this.items().indexOf(target.closest("[role=option]"));
    list.addEventListener("pointermove", ({ target }) => this.select(find(target)));
    list.addEventListener("click", ({ target }) => target.closest("[role=option]:not([aria-disabled])") && this.pick());
    document.addEventListener("pointerdown", ({ target }) => !list.contains(target) && this.close());
    list.addEventListener("focusout", ({ relatedTarget }) => !list.contains(relatedTarget) && this.close());
  }

  items() {
    return [...this.list.querySelectorAll("[role=option]:not([aria-disabled])")];
  }

  /** Open the list below a word, empty at first. `abort` is called if it is closed before it is filled. */
  open(word, texts, abort) {
    this.close();
    Object.assign(this, { word, give: abort });
    word.element.setAttribute("aria-expanded", "true");
    this.list.hidden = false;
    this.list.lang = this.view.translation.lang;
    this.write([this.message(texts.searching)]);
    this.list.focus({ preventScroll: true });
  }

  /** Show the alternatives. `choose` is called with the one that is chosen. */
  fill(found, prefix, texts, choose) {
    if (!this.word) return;
    this.give = () => {};
    const options = found.map((one, index) => {
      const [option, word, rest] = ["div", "b", "small"].map((name) => document.createElement(name));
      option.id = `alternative-${index}`;
      option.setAttribute("role", "option");
      word.textContent = one.word;
      rest.textContent = one.text.slice(prefix.length);
      option.append(word, rest);
      return option;
    });
    this.choose = (index) => choose(found[index]);
    this.write(options.length ? options : [this.message(texts.none)]);
    this.select(0);
  }

  message(text) {
    const option = document.createElement("div");
    option.setAttribute("role", "option");
    option.setAttribute("aria-disabled", "true");
    option.textContent = text;
    return option;
  }

  write(options) {
    this.list.replaceChildren(...options);
    this.list.style.left = "0";
    const { left, bottom, right, top } = this.word.element.getBoundingClientRect();
    const { width, height } = this.list.getBoundingClientRect();
    const edge = document.documentElement.clientWidth - width - 8;
    const rightToLeft = getComputedStyle(this.view.translation).direction === "rtl";
    const x = Math.max(8, Math.min(rightToLeft ? right - width : left - 8, edge));
    const y = bottom + height + 8 > innerHeight && top > height + 8 ? top - height - 6 : bottom + 6;
    this.list.style.left = `${x + scrollX}px`;
    this.list.style.top = `${y + scrollY}px`;
  }

  select(index) {
    if (index < 0) return;
    this.items().forEach((item, place) => item.setAttribute("aria-selected", String(place === index)));
    const chosen = this.items()[index];
    if (chosen) this.list.setAttribute("aria-activedescendant", chosen.id);
  }

  press(event) {
    const items = this.items(), index = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
    if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      this.leave();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.pick();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      if (items.length) this.select((index + step + items.length) % items.length);
    }
  }

  pick() {
    const index = this.items().findIndex((item) => item.getAttribute("aria-selected") === "true");
    if (index < 0) return;
    const { choose } = this;
    this.close();
    choose(index);
  }

  /** Close the list, and return to the word. */
  leave() {
    const element = this.word?.element;
    this.close();
    element?.focus();
  }

  close() {
    if (!this.word) return;
    this.give();
    this.word.element.setAttribute("aria-expanded", "false");
    this.word = null;
    this.view.linkTarget(null);
    this.list.hidden = true;
    this.list.removeAttribute("aria-activedescendant");
  }
}
