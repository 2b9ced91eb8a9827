/** Normalization of text, by the rules of normalization.json (tokenizers/normalization_rules.py describes them). */

export class Normalizer {
  /** @param {?object} rules the rules of one side, or null if text is not normalized */
  constructor(rules) {
    this.rules = rules;
    if (!rules) return;
    const contexts = rules.keep.map((context) => ({
      characters: readRanges(context.characters),
      before: context.before && readRanges(context.before),
      after: context.after && readRanges(context.after),
    }));
    this.contexts = contexts;
    this.spaces = readRanges(rules.spaces);
    this.contextual = contexts.flatMap((context) => context.characters);
    this.removed = readRanges(rules.remove);
    this.outer = readRanges(rules.trim);
    this.replace = new Map(Object.entries(rules.replace));
    for (const [range, first] of Object.entries(rules.shift)) {
      const [begin, end] = readRange(range);
      for (let code = begin; code <= end; code++) {
        this.replace.set(String.fromCodePoint(code), String.fromCodePoint(first.codePointAt(0) + code - begin));
      }
    }
    this.longest = [...this.replace.keys()].reduce((most, key) => Math.max(most, [...key].length), 0);
  }

  normalize(text) {
    const { rules } = this;
    if (!rules) return text;
    let characters = this.filter(this.clean([...text]));
    const normalized = rules.form ? characters.join("").normalize(rules.form) : characters.join("");
    let result = this.substitute([...normalized]);
    if (rules.form && result !== normalized) result = result.normalize(rules.form);
    if (rules.collapse) result = result.replace(/ {2,}/g, " ");
    characters = [...result];
    let start = 0, end = characters.length;
    while (start < end && contains(this.outer, characters[start])) start++;
    while (end > start && contains(this.outer, characters[end - 1])) end--;
    return characters.slice(start, end).join("");
  }

  /** Replace white space by spaces, and delete characters that no context can keep. */
  clean(characters) {
    return characters.flatMap((character) => {
      if (contains(this.spaces, character)) return [" "];
      return contains(this.removed, character) && !contains(this.contextual, character) ? [] : [character];
    });
  }

  /** Delete the characters that are only kept in contexts, where no context keeps them. */
  filter(characters) {
    const kept = [];
    characters.forEach((character, index) => {
      if (!contains(this.contextual, character) || this.isKept(character, kept.at(-1), characters[index + 1])) {
        kept.push(character);
      }
    });
    return kept;
  }

  isKept(character, before, after) {
    const fits = (ranges, neighbor) => !ranges || (neighbor !== undefined && contains(ranges, neighbor));
    return this.contexts.some(
      (context) =>
        contains(context.characters, character) && fits(context.before, before) && fits(context.after, after),
    );
  }

  /** Replace the longest key at each place. */
  substitute(characters) {
    let result = "";
    for (let index = 0; index < characters.length; ) {
      let length = Math.min(this.longest, characters.length - index);
      while (length && !this.replace.has(characters.slice(index, index + length).join(""))) length--;
      result += length ? this.replace.get(characters.slice(index, index + length).join("")) : characters[index];
      index += length || 1;
    }
    return result;
  }
}

function readRange(text) {
  const [first, last = first] = text.split("-");
  return [parseInt(first, 16), parseInt(last, 16)];
}

function readRanges(texts) {
  return texts.map(readRange).sort(([one], [other]) => one - other);
}

function contains(ranges, character) {
  const code = character.codePointAt(0);
  return ranges.some(([first, last]) => first <= code && code <= last);
}
