/**
 * Guards against translations with obvious faults: loops, and translations that are far too long or too short. They
 * are searched again with other options, as in nmt/translation/guards.py.
 */

import { maxLength } from "./search.js";

const PERIODS = 40; // the length of the longest repeated part of a loop, in tokens
const LOOP_CHARACTERS = 8; // the least length of a loop within a word
const REPEATED_TOKENS = 4; // with fewer equal tokens, repeated characters are not looked for
const REPEATED_CHARACTERS = /(\S[^\n]{0,19}?)\1{2,}/gu;
const SHORT = 0.2, SHORT_CHARACTERS = 40; // a translation of a long source is too short if it has less than this share
const LONGER = 1.5; // a loop is a fault if it is this many times as long as a loop of the source
const LENGTH_FACTOR = 1.2; // the limit of the length in the second search of a translation that reached its limit
const COVERAGE = 0.3; // the coverage penalty of the second search for an omission
const ATTEMPTS = 3; // the maximum number of further searches

const count = (text) => [...text].length;

/** Return whether a text stays as it is: it has no letters, or mostly characters that the vocabulary lacks. */
export function needsNoTranslation(text, ids, tokenizer) {
  if (!/\p{L}/u.test(text)) return true;
  return 2 * ids.filter((id) => tokenizer.isUnknown(id)).length > ids.length;
}

/**
 * Search a sentence, and search it again while its best translation has a fault.
 *
 * @param {(options: object) => import("./search.js").Hypothesis[]} search
 * @param {number[]} source the ids of the sentence, EOS last
 */
export function searchGuarded(search, source, options, tokenizers) {
  let found = search(options), fault = findFault(found[0].ids, source, options, tokenizers);
  const first = fault;
  let changed = options;
  for (let attempt = 0; fault && attempt < ATTEMPTS; attempt++) {
    changed = chooseOptions(changed, found[0].ids, fault, tokenizers.target);
    const again = search(changed);
    fault = findFault(again[0].ids, source, options, tokenizers);
    if (!fault || first !== "omission") found = again;
    else fault = first;
  }
  return found;
}

function findFault(ids, source, options, tokenizers) {
  const loop = findLoop(ids, tokenizers.target);
  if (loop) {
    const ofSource = findLoop(source.slice(0, -1), tokenizers.source);
    if (!ofSource || count(loop.text) > LONGER * count(ofSource.text)) return "loop";
  }
  if (ids.length >= maxLength(options, source.length)) return "length";
  if (ids.length < SHORT * source.length) {
    const before = count(tokenizers.source.decode(source.slice(0, -1))), after = count(tokenizers.target.decode(ids));
    if (before > SHORT_CHARACTERS && after < SHORT * before) return "omission";
  }
  return null;
}

/** Find a part that is repeated in a row, at least two and a half times: its text, and its number of tokens. */
export function findLoop(ids, tokenizer) {
  const repeated = ids.length - new Set(ids).size;
  if (repeated < 2) return null;
  for (let period = 1; period <= PERIODS && repeated >= 1.5 * period; period++) {
    let start = period; // of the tokens that equal the token one period before
    for (let place = period; place <= ids.length; place++) {
      if (place < ids.length && ids[place] === ids[place - period]) continue;
      if (place - start >= Math.max(2, 1.5 * period)) {
        const text = tokenizer.decode(ids.slice(start - period, place)).trim();
        const severalWords = /[\p{L}\p{N}]/u.test(text) && !/^\p{L}+$/u.test(text);
        if (count(text) >= LOOP_CHARACTERS || severalWords) return { text, period };
      }
      start = place + 1;
    }
  }
  if (repeated < REPEATED_TOKENS) return null;
  for (const [text] of tokenizer.decode(ids).matchAll(REPEATED_CHARACTERS)) {
    if (count(text) >= LOOP_CHARACTERS) return { text, period: 1 };
  }
  return null;
}

function chooseOptions(options, ids, fault, target) {
  if (fault === "omission") return { ...options, coveragePenalty: Math.max(options.coveragePenalty, COVERAGE) };
  const factor = fault === "length" ? Math.min(options.maxLengthFactor, LENGTH_FACTOR) : options.maxLengthFactor;
  const loop = findLoop(ids, target), size = loop ? loop.period + 1 : 2;
  const before = options.noRepeatNgramSize;
  return { ...options, maxLengthFactor: factor, noRepeatNgramSize: before ? Math.min(before, size) : size };
}
