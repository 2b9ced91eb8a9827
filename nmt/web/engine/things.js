/**
 * Things in text that are not words, such as URLs and placeholders. They are taken out of a line before it is
 * translated, and put into the translation by attention (nmt/translation/things.py and tagged.py).
 */

const W = "\\p{L}\\p{N}_"; // the characters of words
const BORDER = `(?:(?<![${W}])(?=[${W}])|(?<=[${W}])(?![${W}]))`;
const ENDINGS =
  "aac|apk|avi|bak|bat|bin|bmp|bz2|cfg|conf|cpp|css|csv|dat|db|deb|dll|docx?|epub|exe|flac|gif|gz|h|hpp|html?|ico|ini" +
  "|iso|jar|java|jpe?g|js|json|jsx|log|m4a|md|mkv|mov|mp3|mp4|mpe?g|msi|odp|ods|odt|ogg|otf|pdf|php|png|pptx?|ps1|py" +
  "|rar|rb|rpm|rs|rtf|sh|sql|svg|tar|tgz|tiff?|toml|ts|tsv|tsx|ttf|txt|vue|wav|webm|webp|woff2?|xlsx?|xml|ya?ml|zip" +
  "|zst";
const PICTURE = "\\u2600-\\u27bf\\u2b50\\u{1f000}-\\u{1faff}";

// The kinds of things, in order of priority.
const PATTERNS = {
  code: "``.+?``|`[^`]+`",
  url: String.raw`(?:https?|ftps?|file):\/\/[^\s<>"“”]+|mailto:[^\s<>"]+|www\.[^\s<>"“”]+`,
  mail: `[${W}.+\\-]+@[${W}\\-]+(?:\\.[${W}\\-]+)+`,
  placeholder:
    `\\$\\{[^{}\\s]*\\}|\\{\\{\\{?[^{}]*\\}?\\}\\}|\\{[${W}.:,!\\[\\]\\-]*\\}` +
    `|%\\([${W}.]+\\)[#0 +\\-]?\\p{Nd}*(?:\\.\\p{Nd}+)?[a-zA-Z]` +
    `|%\\p{Nd}+\\$[#0 +\\-]?\\p{Nd}*(?:\\.\\p{Nd}+)?[a-zA-Z@]` +
    `|%[#0+\\-]?\\p{Nd}*(?:\\.\\p{Nd}+)?(?:l{0,2}[dufxs]|@)(?![${W}])|\\$[A-Z_][A-Z0-9_]+${BORDER}` +
    "|<[A-Z][A-Z0-9_]*>|%[A-Z_]{2,}%",
  path:
    `(?<![${W}\\/])(?:~|\\.{1,2})?\\/[${W}.@+\\-]+(?:\\/[${W}.@+\\-]*)*(?<!\\.)` +
    `|${BORDER}[A-Za-z]:\\\\[${W}.\\\\ \\-]*[${W}\\\\]`,
  file: `${BORDER}[${W}\\-]+(?:[.\\/][${W}\\-]+)*\\.(?:${ENDINGS})${BORDER}(?!\\.[${W}])`,
  domain:
    `${BORDER}(?:[${W}\\-]+\\.)+(?:com|org|net|edu|gov|io|info|eu|de|fr|uk)${BORDER}(?:\\/[^\\s<>"]*)?`,
  mention: `(?<![${W}@#&])[@#][\\p{L}\\p{Nl}\\p{No}][${W}]*(?:[.\\-][${W}]+)*`,
  date:
    `${BORDER}\\p{Nd}{4}-\\p{Nd}{2}-\\p{Nd}{2}` +
    `(?:T\\p{Nd}{2}:\\p{Nd}{2}(?::\\p{Nd}{2})?(?:Z|[+\\-]\\p{Nd}{2}:?\\p{Nd}{2})?)?${BORDER}` +
    `|${BORDER}\\p{Nd}{1,2}[.\\/]\\p{Nd}{1,2}[.\\/]\\p{Nd}{2,4}${BORDER}`,
  number:
    `(?<![${W}.,])[+−\\-]?(?:[$€£¥] ?)?\\p{Nd}+(?:[.,:\\/]\\p{Nd}+)+(?: ?(?:%|‰|°C|°F|°|[kMGT]?i?B|[kcmµn]?m[²³]?` +
    `|km\\/h|mph|[kmµ]?g|[kMG]?Hz|[kM]?W|V|h|min|ms|s|€|\\$|£))?(?![${W}])` +
    `|(?<![${W}.,])[+−\\-]?(?:[$€£¥] ?)?\\p{Nd}{3,}(?: ?(?:%|€|\\$|£|km|kg|m))?(?![${W}])`,
  emoji:
    `(?:(?:[\\u{1f1e6}-\\u{1f1ff}]{2}|[${PICTURE}\\u2b55]` +
    `[\\ufe0e\\ufe0f\\u20e3\\u{1f3fb}-\\u{1f3ff}\\u{e0020}-\\u{e007f}]*` +
    `(?:\\u200d[${PICTURE}][\\ufe0f\\u{1f3fb}-\\u{1f3ff}]*)*)+)`,
};
const KINDS = Object.keys(PATTERNS);
const THING = new RegExp(KINDS.map((kind) => `(?<${kind}>${PATTERNS[kind]})`).join("|"), "gu");
const TRAILING = ".,;:!?…'\"’”»"; // at the end of a URL, these marks belong to the sentence
const OPENING = { ")": "(", "]": "[", "}": "{" };
const PAIRS = { "(": ")", "[": "]", "{": "}", "<": ">", '"': '"', "“": "”", "'": "'", "«": "»" };
const CLOSING = ".,;:!?…)]}”»"; // no space precedes these marks
const UNIT = new RegExp(`[${W}]+|[^${W}\\s]`, "gu"); // a word or a punctuation mark
const NEARLY = 1e-3; // places whose scores differ by less are equally good
const isWord = (text) => /^[\p{L}\p{N}]/u.test(text);
const isSpace = (text) => /^\s/.test(text);
const first = (text) => [...text.slice(0, 2)][0] ?? "";
const last = (text) => [...text.slice(-2)].at(-1) ?? "";

/**
 * A thing that was taken out of a line.
 * @typedef {{position: number, content: string, before: boolean, after: boolean}} Thing `position` is its place in the
 *     line without things, and `before` and `after` say whether a space precedes and follows it
 */

/** Return the start and the end of each thing in a text. */
export function findThings(text) {
  const things = [];
  let done = 0;
  for (const match of text.matchAll(THING)) {
    let start = match.index, end = start + match[0].length;
    if (match.groups.url ?? match.groups.domain ?? match.groups.path) {
      while (end > start + 1 && (TRAILING.includes(text[end - 1]) || isUnpaired(text.slice(start, end)))) end--;
    }
    [start, end] = widen(text, Math.max(start, done), end);
    if (start >= done) things.push([start, end]);
    done = Math.max(done, end);
  }
  return things;
}

function isUnpaired(url) {
  const closing = url.at(-1), opening = OPENING[closing];
  return opening !== undefined && url.split(closing).length > url.split(opening).length;
}

/** Add letters that touch a thing, as in {0}s, and brackets that contain nothing else. */
function widen(text, start, end) {
  while (start && isWord(last(text.slice(0, start)))) start -= last(text.slice(0, start)).length;
  while (end < text.length && isWord(text.slice(end))) end += first(text.slice(end)).length;
  while (start && end < text.length && PAIRS[text[start - 1]] === text[end]) {
    start--;
    end++;
  }
  return [start, end];
}

/** Take the things out of a line. `kept` are the places in the line of the characters of the text. */
export function takeOut(line) {
  const removed = new Set(), things = [];
  for (const [start, end] of findThings(line)) {
    for (let place = start; place < end; place++) removed.add(place);
    const before = last(line.slice(0, start)), after = first(line.slice(end));
    // Without the thing, a single space or none is left.
    if (isSpace(before) && !isWord(after)) removed.add(start - 1);
    else if (!before && isSpace(after)) removed.add(end);
    const spaces = { before: !before || isSpace(before), after: !after || isSpace(after) };
    things.push({ start, content: line.slice(start, end), ...spaces });
  }
  const kept = [...line.split("").keys()].filter((place) => !removed.has(place));
  const text = kept.map((place) => line[place]).join("");
  return {
    text,
    kept,
    things: things.map(({ start, ...thing }) => ({
      ...thing, position: kept.filter((place) => place < start).length,
    })),
  };
}

/** Return the start and the end of the words and punctuation marks of a text. */
export function findUnits(text) {
  return Array.from(text.matchAll(UNIT), (match) => [match.index, match.index + match[0].length]);
}

/**
 * Return the attention of each unit of a translation to each unit of its source.
 *
 * @param {number[][]} attention a row of weights of the source tokens for each token of the translation
 * @param {[number, number][]} sourceSpans, targetSpans the parts of the texts that the tokens cover
 */
export function sumWeights(attention, sourceSpans, targetSpans, sources, targets) {
  const weights = targets.map(() => new Float64Array(sources.length)), counts = new Float64Array(targets.length);
  const sourceShares = sourceSpans.map((span) => findShares(span, sources));
  attention.forEach((row, token) => {
    for (const [target, share] of findShares(targetSpans[token], targets)) {
      counts[target] += share;
      sourceShares.forEach((covered, column) => {
        for (const [source, part] of covered) weights[target][source] += share * part * row[column];
      });
    }
  });
  weights.forEach((row, target) => row.forEach((weight, source) => (row[source] = weight / (counts[target] || 1))));
  return weights;
}

/** Divide the weights of each source unit by their sum over the units of the translation. */
export function shareWeights(weights) {
  const sums = new Float64Array(weights.length ? weights[0].length : 0);
  for (const row of weights) row.forEach((weight, source) => (sums[source] += weight));
  return weights.map((row) => row.map((weight, source) => weight / Math.max(1e-6, sums[source])));
}

/** Return the units that a span covers, and the share of each in its characters. */
function findShares([start, end], units) {
  const covered = units
    .map(([first, last], index) => [index, Math.min(end, last) - Math.max(start, first)])
    .filter(([, length]) => length > 0);
  const total = covered.reduce((sum, [, length]) => sum + length, 0);
  return covered.map(([index, length]) => [index, length / total]);
}

/**
 * Put things into a translation: each between the words that are aligned to its neighbors in the source.
 *
 * @param {(Thing & {following: number})[]} things `following` is the number of source units before a thing
 * @param {number} sourceCount the number of source units
 * @param {Float64Array[]} shares what `shareWeights` returns
 * @returns {[number, string][]} what to insert: places in the translation, in ascending order, and texts
 */
export function placeThings(things, text, sourceCount, targets, shares) {
  const placed = things.map((thing) => ({ ...thing, place: findPlace(thing, text, sourceCount, targets, shares) }));
  placed.sort((one, other) => one.place - other.place);
  let written = "", done = 0;
  return placed.map(({ place, content, before, after }) => {
    written += text.slice(done, place);
    done = place;
    const following = first(text.slice(place));
    let inserted = content;
    if ((before || isWord(last(written))) && written && !isSpace(last(written))) inserted = ` ${inserted}`;
    const apart = after && following && !CLOSING.includes(following) && !isSpace(following);
    if (apart || isWord(following)) inserted += " ";
    written += inserted;
    return [place, inserted];
  });
}

function findPlace({ following, before, after }, text, sourceCount, targets, shares) {
  const count = targets.length;
  if (!count || !following) return 0;
  if (following >= sourceCount) return text.length;
  const scores = Array.from({ length: count + 1 }, (_, gap) =>
    (gap ? shares[gap - 1][following - 1] : 0) + (gap < count ? shares[gap][following] : 0));
  const threshold = Math.max(...scores) - NEARLY, place = (following / sourceCount) * count;
  let best = -1;
  scores.forEach((score, gap) => {
    if (score >= threshold && (best < 0 || Math.abs(gap - place) < Math.abs(best - place))) best = gap;
  });
  if (!best) return 0;
  return before && !after && best < count ? targets[best][0] : targets[best - 1][1];
}
