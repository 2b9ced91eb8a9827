/**
 * Division of text into sentences, in a simple form.
 *
 * A sentence ends at . ! ? … or at another mark of that kind, with the closing quotation marks and brackets after it,
 * where white space follows. After a Chinese or Japanese mark, white space is not needed. What follows must not begin
 * with a lower-case letter. A full stop ends no sentence after a number, after a single letter, after a word with a
 * full stop in it, and after the abbreviations below.
 */

const CLOSING = `["'”’»›)\\]}」』】）]*`, QUOTE = `["'”’“‘»›«‹)\\]}]*`; // “ closes German quotations
const END = new RegExp(`(?:[.!?…‥\\u037e։؟۔।॥]${QUOTE}\\s+|[。！？]${CLOSING}\\s*)(?=\\S)`, "gu");
const ABBREVIATION = /(?:^|[\s(\["'„“«])([^\s(\["'„“«]+)\.\s+$/u;
const ABBREVIATIONS = new Set(
  (
    "mr mrs ms dr prof st jr sr vs inc ltd co corp mt rev gen col sgt capt lt gov sen rep fig no approx dept est " +
    "bzw ca nr str evtl ggf inkl hr fr bspw vgl abs art bd hrsg sog geb gest tel mio mrd " +
    "mme mlle mm av bd sra dra ud uds srta núm pág sig sigg dott ing"
  ).split(" "),
);

/** Split a text into sentences. Each includes the white space after it. Joined, they are the text again. */
export function splitSentences(text) {
  const sentences = [];
  let start = 0;
  for (const match of text.matchAll(END)) {
    const end = match.index + match[0].length;
    const continues = /^[^\p{L}\p{N}]*\p{Lowercase}/u.test(text.slice(end, end + 20));
    if (continues || isAbbreviated(text.slice(start, end))) continue;
    sentences.push(text.slice(start, end));
    start = end;
  }
  return start < text.length ? [...sentences, text.slice(start)] : sentences;
}

function isAbbreviated(sentence) {
  const word = ABBREVIATION.exec(sentence)?.[1];
  if (!word) return false;
  return /^\p{L}$|^\d+$|\p{L}\.\p{L}/u.test(word) || ABBREVIATIONS.has(word.toLowerCase());
}
