/** Translation of text: texts -> lines -> sentences -> search -> text. */

import { needsNoTranslation, searchGuarded } from "./guards.js";
import { Network } from "./network.js";
import { Normalizer } from "./normalization.js";
import { PrefixCompleter } from "./prefixes.js";
import { DEFAULTS, EOS, Search, Shortlist } from "./search.js";
import { splitSentences } from "./sentences.js";
import { Tokenizer } from "./subwords.js";
import { findUnits, placeThings, shareWeights, sumWeights, takeOut } from "./things.js";
import { readTensors } from "./tensors.js";
import { isCapitals, Truecaser, writeCapitals } from "./truecasing.js";

const WITHOUT_SPACES = new Set(["zh", "ja", "th", "lo", "km", "my"]); // languages without spaces between words
const CACHED = 1000; // the number of sentences whose translations are kept
const NEXT_WORD = /[^\p{L}\p{N}_\s]*[\p{L}\p{N}_]+(?:[-'’][\p{L}\p{N}_]+)*|\S+/uy;

/**
 * A translation.
 * @typedef {object} Translation
 * @property {string} text
 * @property {Word[]} words the words of the translation, if their places in the text are known
 *
 * @typedef {object} Word
 * @property {number} start
 * @property {number} end where the word stands in the translation
 * @property {number} probability the probability of the word after the words before it
 * @property {?[number, number]} source where the word of the source stands that has the most attention
 */

export class Translator {
  /**
   * @param {object} description the content of web.json
   * @param {Map<string, ArrayBuffer>} files the content of the other files of the model, by name
   */
  constructor(description, files) {
    const { data } = description, parse = (name) => JSON.parse(new TextDecoder().decode(files.get(name)));
    this.description = description;
    const lengthPenalty = description.length_penalty ?? DEFAULTS.lengthPenalty;
    this.defaults = { ...DEFAULTS, lengthPenalty };
    this.confidence = description.confidence ?? [1, 0];
    this.data = data;
    const source = new Tokenizer(files.get("tokenizer.model") ?? files.get("source.model"));
    const target = files.has("tokenizer.model") ? source : new Tokenizer(files.get("target.model"));
    this.tokenizers = { source, target };
    const rules = files.has("normalization.json") ? parse("normalization.json") : { source: null, target: null };
    this.normalizers = { source: new Normalizer(rules.source), target: new Normalizer(rules.target) };
    this.truecaser = files.has("truecase.json") ? new Truecaser(parse("truecase.json")) : null;
    const network = new Network(description.model, readTensors(files.get("model.safetensors")));
    const listed = files.get("shortlist.safetensors");
    this.search = new Search(network, target.size, listed ? new Shortlist(readTensors(listed)) : null);
    this.cache = new Map();
  }

  /** The target languages of the model. */
  get targets() {
    return this.data.target_languages;
  }

  /**
   * Translate a text. Each line is translated by itself.
   *
   * @param {string} text
   * @param {object} [options] `to`, the target language; `prefix`, with which the translation of a single line begins;
   *     and options of search, such as `beam`
   * @param {() => Promise<void>} [pause] called between sentences. If it throws, the translation ends.
   * @returns {Promise<Translation>}
   */
  async translate(text, { to = null, prefix = "", ...given } = {}, pause = async () => {}) {
    const options = { ...this.defaults, ...given }, language = this.chooseLanguage(to);
    if (prefix) {
      const segment = this.makeWhole(text, language), [found] = this.complete(segment, prefix, options);
      const { text: translation, words } = this.join([{ segment, found }], text, language);
      return { text: translation, words };
    }
    const result = { text: "", words: [] };
    let place = 0;
    for (const line of text.split("\n")) {
      const own = await this.translateLine(line, options, language, pause), offset = result.text.length + (place && 1);
      result.text += (place ? "\n" : "") + own.text;
      for (const { start, end, source, ...word } of own.words) {
        const found = source && source.map((character) => place + character);
        result.words.push({ ...word, start: offset + start, end: offset + end, source: found });
      }
      place += line.length + 1;
    }
    return result;
  }

  async translateLine(line, options, language, pause) {
    const { text, kept, things } = takeOut(line), parts = [];
    if (things.length && !/\p{L}/u.test(text)) return { text: line, words: [] };
    for (const segment of this.divide(text, language)) {
      await pause();
      parts.push({ segment, found: this.searchSegment(segment, options)[0] });
    }
    const result = this.join(parts, text, language);
    for (const word of result.words) {
      if (word.source) word.source = [kept[word.source[0]], kept[word.source[1] - 1] + 1];
    }
    return things.length ? this.insert(things, result, text) : result;
  }

  /** Put things into a translation of a line. */
  insert(things, { text, words, parts }, source) {
    const before = (position) => this.normalizers.source.normalize(source.slice(0, position));
    const sources = findUnits(parts.map(({ segment }) => segment.text).join(" ")), targets = findUnits(text);
    const tokens = { source: [], target: [] };
    let place = 0;
    for (const { segment, found, start } of parts) {
      const own = this.tokenizers.source.encodeSpans(segment.text);
      tokens.source.push(...own.map((token) => [place + token.start, place + token.end]));
      const spans = this.tokenizers.target.decodeSpans(found.ids);
      tokens.target.push(...spans.map((span) => span.map((offset) => start + offset)));
      place += segment.text.length + 1;
    }
    const attention = [];
    let columns = 0;
    for (const { segment, found } of parts) {
      const count = segment.source.length - 1 - segment.tags;
      for (const row of (found.attention ?? []).slice(0, -1)) {
        const whole = new Array(tokens.source.length).fill(0);
        row.slice(segment.tags, -1).forEach((weight, index) => (whole[columns + index] = weight));
        attention.push(whole);
      }
      columns += count;
    }
    const shares = shareWeights(sumWeights(attention, tokens.source, tokens.target, sources, targets));
    const located = things.map((thing) => ({ ...thing, following: findUnits(before(thing.position)).length }));
    let result = "", done = 0;
    const shifts = placeThings(located, text, sources.length, targets, shares).map(([where, inserted]) => {
      result += text.slice(done, where) + inserted;
      done = where;
      return [where, inserted.length];
    });
    const shift = (offset, within) => {
      const earlier = shifts.filter(([where]) => where < offset || (within && where === offset));
      return earlier.reduce((sum, [, length]) => sum + length, offset);
    };
    return {
      text: result + text.slice(done),
      words: words.map((word) => ({ ...word, start: shift(word.start, true), end: shift(word.end, false) })),
    };
  }

  /**
   * Find what else could be next in a translation, the most probable words first.
   *
   * @param {string} line a line of text
   * @param {string} prefix the translation up to a word, with the space before it
   * @returns {Promise<{word: string, probability: number, text: string}[]>} with the best translations that follow
   */
  async alternatives(line, prefix, { to = null, count = 5, ...given } = {}, pause = async () => {}) {
    const options = { ...this.defaults, ...given }, language = this.chooseLanguage(to);
    const segment = this.makeWhole(line, language), before = prefix.slice(0, prefix.lastIndexOf(" ") + 1);
    const beam = Math.max(options.beam, 8 * count), words = new Set();
    for (const maxLengthExtra of [2, 4, 8]) { // short continuations differ early
      await pause();
      const short = { beam, nbest: beam, lengthPenalty: 0, minLength: 0, maxLengthFactor: 0, maxLengthExtra };
      for (const { ids } of this.complete(segment, prefix, { ...options, ...short })) {
        const word = matchWord(this.write(segment, ids), before.length);
        if (word && word.end < word.text.length && word.end >= prefix.length) words.add(word.word);
      }
    }
    const ranked = this.rankWords(segment, before, [...words]);
    const results = [];
    for (const { word, probability } of ranked.slice(0, count)) {
      await pause();
      const write = (own) => this.write(segment, this.complete(segment, own, options)[0].ids);
      let text = write(before + word);
      if (matchWord(text, before.length)?.word !== word) text = write(`${before + word} `);
      results.push({ word, probability, text });
    }
    return results;
  }

  /** Return words with their probabilities after the text before them, the most probable first. */
  rankWords(segment, before, words) {
    const { target } = this.tokenizers, normalizer = this.normalizers.target;
    const encode = (text) => target.encode(normalizer.normalize(text).trim());
    const known = before.trim() ? target.encode(before.trimEnd()).length : 0;
    const encoded = words.map((word) => encode(before + word)), scores = this.search.score(segment.source, encoded);
    const scored = words.map((word, index) => {
      const total = scores[index].slice(known).reduce((sum, score) => sum + score, 0);
      return { word, ids: encoded[index], probability: Math.exp(total) };
    });
    scored.sort((one, other) => other.ids.length - one.ids.length);
    scored.forEach((one, index) => {
      // The tokens of "in" also begin "into". What the longer word takes is not the shorter one.
      const longer = scored.slice(0, index).filter(({ ids }) => one.ids.every((id, place) => ids[place] === id));
      const taken = longer.reduce((sum, { probability }) => sum + probability, 0);
      one.probability = Math.max(0, one.probability - taken);
    });
    return scored.sort((one, other) => other.probability - one.probability || (one.word < other.word ? -1 : 1));
  }

  chooseLanguage(to) {
    if (to === null && this.targets.length === 1) return this.targets[0];
    if (this.targets.includes(to)) return to;
    const fault = to === null ? "the target language is not given" : `the model does not translate into ${to}`;
    throw new RangeError(`${fault}; choose ${this.targets.join(" or ")}`);
  }

  /** Return the ids of the tags that precede a sentence. */
  tagIds(language) {
    if (!this.data.target_tags) return [];
    return [this.tokenizers.source.size + this.data.tags.indexOf(`<2${language}>`)];
  }

  /** Divide a line into segments, which are translated by themselves. */
  divide(line, language) {
    const text = this.normalizers.source.normalize(line).trim();
    const sentences = this.data.split ? splitSentences(text).map((sentence) => sentence.trim()) : [text];
    return sentences.filter(Boolean).flatMap((sentence) => {
      const restored = this.truecaser ? this.truecaser.restore(sentence) : sentence;
      const capitals = Boolean(this.truecaser) && isCapitals(sentence);
      const parts = this.cut(restored).filter(({ ids }) => ids.length), tags = this.tagIds(language);
      const all = parts.flatMap(({ ids }) => ids);
      if (this.data.guard && needsNoTranslation(sentence, all, this.tokenizers.source)) {
        return [{ text: sentence, source: [...tags, ...all, EOS], verbatim: true, tags: tags.length }];
      }
      return parts.map(({ text: part, ids }) => ({
        text: part, source: [...tags, ...ids, EOS], tags: tags.length, capitals, language,
      }));
    });
  }

  /** Return a whole line as one segment, without guards. */
  makeWhole(line, language) {
    const text = this.normalizers.source.normalize(line).trim(), tags = this.tagIds(language);
    const restored = this.truecaser ? this.truecaser.restore(text) : text;
    return { text: restored, source: [...tags, ...this.tokenizers.source.encode(restored), EOS], tags: tags.length };
  }

  /** Tokenize a text. A part with too many tokens is halved. */
  cut(text) {
    const ids = this.tokenizers.source.encode(text), characters = [...text];
    if (ids.length <= this.data.max_tokens || characters.length === 1) return [{ text, ids }];
    const half = text.length / 2, sentences = splitSentences(text).slice(0, -1);
    let ends = sentences.map((_, index) => sentences.slice(0, index + 1).join("").length);
    if (!ends.length) ends = [...text.matchAll(/\s+/g)].map((match) => match.index + match[0].length);
    if (!ends.length) ends = [characters.slice(0, characters.length >> 1).join("").length];
    const middle = ends.reduce((one, other) => (Math.abs(other - half) < Math.abs(one - half) ? other : one));
    const halves = [text.slice(0, middle).trim(), text.slice(middle).trim()];
    return halves.filter(Boolean).flatMap((part) => this.cut(part));
  }

  /** Return the best translations of a segment. They are kept for the next call with the same segment. */
  searchSegment(segment, options) {
    if (segment.verbatim) return [{ verbatim: segment.text, ids: [] }];
    const key = JSON.stringify([segment.source, options, segment.capitals]);
    const found = this.cache.get(key) ?? this.searchAnew(segment, options);
    this.cache.delete(key);
    this.cache.set(key, found);
    if (this.cache.size > CACHED) this.cache.delete(this.cache.keys().next().value);
    return found;
  }

  searchAnew(segment, options) {
    const run = (own) => this.search.run(segment, own, (ids) => this.write(segment, ids));
    return this.data.guard ? searchGuarded(run, segment.source, options, this.tokenizers) : run(options);
  }

  /** Return the best translations of a segment that begin with a prefix. */
  complete(segment, prefix, options) {
    this.completer ??= new PrefixCompleter(this.tokenizers.target);
    const sentence = { source: segment.source, ...(prefix ? this.completer.complete(prefix) : {}) };
    return this.search.run(sentence, options, (ids) => this.write(segment, ids));
  }

  /** Return the text of a hypothesis. */
  write(segment, ids) {
    const text = this.tokenizers.target.decode(ids).replace(/[\n\r]/g, " ");
    return segment.capitals ? writeCapitals(text, segment.language) : text;
  }

  /** Join the translations of the segments of a line. `start` of a part is where it begins in the text. */
  join(parts, line, language) {
    const spaced = !WITHOUT_SPACES.has(language.toLowerCase().split(/[-_]/)[0]), words = [];
    const sourceWords = [...line.matchAll(/\S+/g)].map((match) => [match.index, match.index + match[0].length]);
    // Normalization and case keep the number of words nearly always. Otherwise, places in the source are unknown.
    const counts = parts.map(({ segment }) => segment.text.split(/\s+/).filter(Boolean).length);
    const located = counts.reduce((sum, count) => sum + count, 0) === sourceWords.length;
    let text = "", first = 0;
    const placed = parts.map(({ segment, found }, index) => {
      const own = found.verbatim ?? this.write(segment, found.ids);
      if (text && own && spaced) text += " ";
      const start = text.length, sources = sourceWords.slice(first, first + counts[index]);
      for (const { source, ...word } of this.findWords(segment, found, own, spaced)) {
        const place = (located && sources[source]) || null;
        words.push({ ...word, start: start + word.start, end: start + word.end, source: place });
      }
      text += own;
      first += counts[index];
      return { segment, found, start };
    });
    return { text, words, parts: placed };
  }

  /** Return the words of a translation of a segment. `source` is the index of a word of the segment. */
  findWords(segment, found, text, spaced) {
    if (found.verbatim) return [];
    const parts = this.tokenizers.target.decodeParts(found.ids);
    if (parts.join("").length !== text.length) return []; // capitals can be longer
    const wordOf = this.mapTokens(segment), words = [];
    let end = 0;
    parts.forEach((part, index) => {
      const votes = found.attention[index].slice(segment.tags, -1);
      const start = end + (part.length - part.trimStart().length);
      end += part.length;
      if (!words.length || part.startsWith(" ") || !spaced) {
        words.push({ start, end, logProbability: 0, votes: new Map() });
      }
      const word = words.at(-1);
      word.end = end;
      word.logProbability += found.logProbabilities[index];
      votes.forEach((vote, token) => word.votes.set(wordOf[token], (word.votes.get(wordOf[token]) ?? 0) + vote));
    });
    return words
      .filter((word) => text.slice(word.start, word.end).trim())
      .map(({ start, end: last, logProbability, votes }) => {
        const [source] = [...votes].reduce((one, other) => (other[1] > one[1] ? other : one), [-1, 0]);
        return { start, end: last, confidence: this.computeConfidence(Math.exp(logProbability)), source };
      });
  }

  /** Return the share of words with a probability that are also in the human translation. */
  computeConfidence(probability) {
    const [scale, offset] = this.confidence;
    const kept = Math.min(Math.max(probability, 1e-6), 1 - 1e-6);
    return 1 / (1 + Math.exp(-(scale * Math.log(kept / (1 - kept)) + offset)));
  }

  /** Return the index of the word that each token of a segment belongs to. */
  mapTokens(segment) {
    return this.tokenizers.source
      .encodeSpans(segment.text)
      .map(({ end }) => segment.text.slice(0, end).trimEnd().split(/\s+/).length - 1);
  }
}

/** Match the word at a place of a text. Return null if there is none. */
function matchWord(text, place) {
  NEXT_WORD.lastIndex = place;
  const word = NEXT_WORD.exec(text)?.[0];
  return word === undefined ? null : { word, text, end: place + word.length };
}
