/** Truecasing, by the tables of truecase.json. tokenizers/case.py describes the method. */

const CHEROKEE = /[\u13a0-\u13ff\uab70-\uabbf]/u; // its ordinary letters are upper case in Unicode
const WORD = /[\p{L}\p{Nl}\p{No}]+/gu;
const SENTENCE_END = /(?<=[.!?…])[^\p{L}\p{N}_\s]*\s/u;
const ODD = 0.25; // a line is in title case if more than this share of its words has an unusual form
const ENDING = 3; // the length of an ending in the tables
const DOT = /\u0307/g; // the combining dot that lower-case İ has
const TURKIC = new Set(["tr", "az", "crh", "tt"]); // the upper case of i is İ there
// Letters whose title case is not their upper case. Georgian letters have none.
const TITLES = new Map([..."ǄǅǆǇǈǉǊǋǌǱǲǳ"].map((letter, index) => [letter, "ǅǈǋǲ"[Math.floor(index / 3)]]));
TITLES.set("ŉ", "ʼN");
const GEORGIAN = /[\u10d0-\u10fa\u10fd-\u10ff]/u;

const isUpper = (letter) => /^\p{Uppercase}$/u.test(letter);
const isLower = (letter) => /^\p{Lowercase}$/u.test(letter);

/** Return whether a text has at least two upper-case letters and no lower-case letters that have an upper case. */
export function isCapitals(text) {
  let upper = 0;
  for (const letter of text) {
    const capital = letter.toUpperCase();
    if (isLower(letter) && [...capital].length === 1 && capital !== letter) return false;
    if (isUpper(letter) && !CHEROKEE.test(letter)) upper++;
  }
  return upper >= 2;
}

/** Return a text in capitals. `language` is the code of its language. */
export function writeCapitals(text, language) {
  const code = language.toLowerCase().split(/[-_]/)[0];
  let changed = TURKIC.has(code) ? text.replaceAll("i", "İ") : text;
  if (code === "el") changed = changed.normalize("NFD").replaceAll("\u0301", "").normalize("NFC");
  return changed.toUpperCase();
}

function writeLower(word) {
  return word.toLowerCase().replace(DOT, "");
}

/** Return a letter in title case. */
export function titleLetter(letter) {
  if (TITLES.has(letter) || GEORGIAN.test(letter)) return TITLES.get(letter) ?? letter;
  const code = letter.codePointAt(0);
  // Greek letters with a subscript iota have a title case of one letter, but an upper case of two.
  if (code >= 0x1f80 && code <= 0x1faf) return String.fromCodePoint(code | 8);
  if ([0x1fb3, 0x1fc3, 0x1ff3].includes(code)) return String.fromCodePoint(code + 9);
  if ([0x1fbc, 0x1fcc, 0x1ffc].includes(code)) return letter;
  const [first, ...others] = letter.toUpperCase();
  return first + others.join("").toLowerCase();
}

/** Return a word with its first letter in upper case and the others in lower case. */
export function writeTitle(word) {
  const [first, ...others] = word;
  return titleLetter(first) + writeLower(others.join(""));
}

/** Return the key of a word in the tables. All forms of a word have the same key. */
export function fold(word) {
  // The lower case of the upper case is the folded case, except for ẞ, for ς, which ends words, and for Cherokee.
  const lower = word.toUpperCase().toLowerCase().replace(DOT, "");
  return lower.replaceAll("ς", "σ").replaceAll("ı", "i").replaceAll("ß", "ss");
}

export class Truecaser {
  /** @param {object} tables the content of truecase.json */
  constructor(tables) {
    this.forms = new Map(Object.entries(tables.forms));
    this.accents = new Map(Object.entries(tables.accents));
    this.endings = new Set(tables.endings);
    Object.assign(this, { title: tables.title, starts: tables.starts, capitals: tables.capitals });
  }

  /** Return a line in the case of the training text. A line in usual case is returned unchanged. */
  restore(line) {
    const words = findWords(line).map((word) => ({ ...word, usual: this.findUsual(word.text) }));
    const odd = words.map(({ text, usual, starts }) => !this.fits(text, usual, starts));
    const hasCapital = (text) => [...text].some(isUpper);
    if (!odd.includes(true) && (!this.capitals || hasCapital(line.split(" ")[0]))) return line;
    // In a line in capitals, in lower case or in title case, the case of a single word has no meaning.
    const unified = isCapitals(line) || (this.capitals && !hasCapital(line));
    const titles = !unified && words.length > 2 && odd.filter(Boolean).length > ODD * words.length;
    let result = "", end = 0;
    words.forEach(({ text, start, starts, usual }, index) => {
      const shouted = [...text].length > 1 && isUpperWord(text), capital = isUpper([...text][0]);
      let word = text;
      if (unified || (titles && (odd[index] || capital)) || (odd[index] && shouted)) word = usual[0];
      if ((unified || titles) && starts && this.starts) {
        const [first, ...others] = word;
        word = titleLetter(first) + others.join("");
      }
      result += line.slice(end, start) + word;
      end = start + text.length;
    });
    return result + line.slice(end);
  }

  fits(word, usual, starts) {
    return usual.includes(word) || (starts && this.starts && usual.map(writeTitle).includes(word));
  }

  /** Return the usual forms of a word, the most frequent first. */
  findUsual(word) {
    let form = word, key = fold(word);
    if ([...word].length > 1 && isUpperWord(word) && this.accents.has(key)) {
      form = this.accents.get(key);
      key = fold(form);
    }
    if (this.forms.has(key)) return this.forms.get(key);
    const title = this.title !== this.endings.has([...fold(form)].slice(-ENDING).join(""));
    return [title ? writeTitle(form) : writeLower(form)];
  }
}

/** Return whether all letters of a word that have a case are in upper case, and there is one. */
function isUpperWord(word) {
  return /\p{Uppercase}/u.test(word) && !/[\p{Lowercase}\p{Lt}]/u.test(word);
}

/** Find the words whose letters have case: their text, their start, and whether they begin a sentence. */
function findWords(line) {
  const words = [];
  let end = 0, starts = true;
  for (const match of line.matchAll(WORD)) {
    const [text] = match, between = line.slice(end, match.index);
    if (end || between) starts = SENTENCE_END.test(between) || (starts && !end && !/[\p{L}\p{N}_]/u.test(between));
    end = match.index + text.length;
    if (text.toLowerCase() !== text.toUpperCase() && !CHEROKEE.test([...text][0])) {
      words.push({ text, start: match.index, starts });
    }
    starts = false;
  }
  return words;
}
