/**
 * The prefix of a translation: text in the target language that can end anywhere, also within a word. The words before
 * the last are forced as tokens. A guide completes the last word, in every segmentation (nmt/translation/prefix.py).
 */

const UNK = 1, EOS = 3;

const spell = (bytes) => String.fromCharCode(...bytes); // byte by byte, so that texts can be compared

export class PrefixCompleter {
  /** @param {import("./subwords.js").Tokenizer} tokenizer the tokenizer of the target side */
  constructor(tokenizer) {
    this.tokenizer = tokenizer;
    this.spelled = tokenizer.spellings
      .map((spelling, id) => [spell(spelling), id])
      .filter(([spelling, id]) => spelling && id > EOS);
  }

  /** Return the tokens of a prefix without its last word, and the guide for the last word. */
  complete(prefix) {
    const text = prefix.replace(/[\n\r]/g, " "), head = text.slice(0, Math.max(text.lastIndexOf(" "), 0));
    const ids = this.tokenizer.encode(head).filter((id) => id !== UNK);
    const rest = spell(this.tokenizer.spell(text).slice(this.tokenizer.spell(head).length));
    return { prefix: ids, guide: this.spellRest(rest) };
  }

  /** Return the guide that allows every spelling that begins with the longest possible part of `rest`. */
  spellRest(rest) {
    let arcs = [];
    while (rest && !(arcs = this.findArcs(rest))[0].length) {
      let cut = rest.length - 1;
      while (cut && (rest.charCodeAt(cut) & 0xc0) === 0x80) cut--; // the bytes of a character stay together
      rest = rest.slice(0, cut);
    }
    const reached = new Set(rest ? [0] : []);
    arcs.forEach((own, place) => reached.has(place) && own.forEach(([, after]) => reached.add(after)));
    reached.delete(rest.length);
    const places = [...reached].sort((one, other) => one - other);
    const states = new Map([...places, rest.length].map((place, state) => [place, state]));
    return places.map((place) => arcs[place].map(([id, after]) => [id, states.get(after)]));
  }

  /** Return for each place in `rest` the tokens that can be next, and the places after them. */
  findArcs(rest) {
    const arcs = Array.from(rest, () => []);
    for (let place = rest.length - 1; place >= 0; place--) {
      const left = rest.slice(place);
      for (const [spelling, id] of this.spelled) {
        if (spelling.startsWith(left)) arcs[place].push([id, rest.length]);
        else if (left.startsWith(spelling) && arcs[place + spelling.length].length) {
          arcs[place].push([id, place + spelling.length]);
        }
      }
    }
    return arcs;
  }
}
