/** SentencePiece tokenizers: unigram (Kudo 2018) and BPE (Sennrich et al. 2016), both with byte fallback. */

const SPACE = "▁"; // what SentencePiece writes for a space
const ESCAPE = "\uebb5"; // nmt writes ▁ in a text as this character and a digit
const UNK = 1;
const NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, BYTE = 6; // types of pieces
const UNIGRAM = 1, BPE = 2; // types of models
const UNKNOWN_PENALTY = 10, SYMBOL_SCORE = -0.1; // scores of SentencePiece's unigram models
const SPELLED_SPACE = 0xff; // a space in a spelling; UTF-8 does not use this byte
const encoder = new TextEncoder();

export class Tokenizer {
  /** @param {ArrayBuffer} file the content of a .model file, in the form that nmt-export accepts */
  constructor(file) {
    const { pieces, kind } = readModel(new Uint8Array(file));
    if (kind !== UNIGRAM && kind !== BPE) throw new Error("the tokenizer is neither a unigram nor a BPE model");
    this.pieces = pieces;
    this.size = pieces.length;
    this.ids = new Map(); // of the pieces that can be found in text
    this.bytes = [];
    pieces.forEach(({ text, type }, id) => {
      if (type === NORMAL || type === USER_DEFINED) this.ids.set(text, id);
      if (type === BYTE) this.bytes.push(id);
    });
    const ordinary = pieces.filter(({ type }) => type === NORMAL).map(({ score }) => score);
    this.lowest = ordinary.reduce((one, other) => Math.min(one, other), 3.4e38);
    this.spansWords = pieces.some(({ text, type }) => type === NORMAL && text.includes(SPACE, 1));
    this.longest = [...this.ids.keys()].reduce((most, piece) => Math.max(most, [...piece].length), 1);
    this.segment = kind === BPE ? this.merge : this.findBestPath;
  }

  /** Return the ids of a text, without BOS and EOS. */
  encode(text) {
    return this.encodeSpans(text).map(({ id }) => id);
  }

  /** Return the id of each token of a text, with the start and the end of its characters. */
  encodeSpans(text) {
    const tokens = [];
    let start = 0;
    if (!text) return tokens;
    for (const piece of this.segment([...`${SPACE}${escape(text)}`.replaceAll(" ", SPACE)])) {
      // SentencePiece adds a space before the text, and two characters can be an escape of one.
      const end = start + piece.replaceAll(ESCAPE, "").length - (tokens.length ? 0 : 1), known = this.ids.get(piece);
      const last = tokens.at(-1);
      if (known !== undefined) tokens.push({ id: known, start, end });
      else if (this.bytes.length) {
        for (const byte of encoder.encode(piece)) tokens.push({ id: this.bytes[byte], start, end });
      } else if (last?.id === UNK) last.end = end; // neighboring unknown characters are one UNK
      else tokens.push({ id: UNK, start, end });
      start = end;
    }
    return tokens;
  }

  /** Return the pieces of the most probable segmentation of a unigram model (Viterbi). */
  findBestPath(characters) {
    const N = characters.length, best = new Float32Array(N + 1).fill(-Infinity), from = new Int32Array(N + 1).fill(-1);
    best[0] = 0;
    const unknown = Math.fround(this.lowest - UNKNOWN_PENALTY);
    for (let start = 0; start < N; start++) {
      const reach = (end, score) => {
        const value = Math.fround(best[start] + score); // SentencePiece computes in float32
        if (from[end] >= 0 && !(value > best[end])) return;
        best[end] = value;
        from[end] = start;
      };
      let piece = "", single = false;
      for (let end = start + 1; end <= Math.min(N, start + this.longest); end++) {
        piece += characters[end - 1];
        const id = this.ids.get(piece);
        if (id === undefined) continue;
        single ||= end === start + 1;
        const { type, score } = this.pieces[id];
        reach(end, type === USER_DEFINED ? SYMBOL_SCORE : score);
      }
      if (!single) reach(start + 1, unknown);
    }
    const pieces = [];
    for (let end = N; end > 0; end = from[end]) pieces.push(characters.slice(from[end], end).join(""));
    return pieces.reverse();
  }

  /** Return the pieces of the segmentation of a BPE model. Words are merged one by one, if no piece spans several. */
  merge(characters) {
    const words = [[]];
    for (let i = 0; i < characters.length; ) {
      const symbol = this.findSymbol(characters, i);
      if (symbol || (characters[i] === SPACE && !this.spansWords)) words.push([]);
      words.at(-1).push(symbol ?? characters[i]);
      if (symbol) words.push([]);
      i += symbol ? [...symbol].length : 1;
    }
    return words.flatMap((word) => this.mergeWord(word));
  }

  /** Merge the characters of a word, the best merge first, and of equal ones the leftmost. */
  mergeWord(pieces) {
    for (;;) {
      let place = -1, best = -Infinity;
      for (let i = 0; i + 1 < pieces.length; i++) {
        const id = this.ids.get(pieces[i] + pieces[i + 1]);
        if (id !== undefined && this.pieces[id].type === NORMAL && this.pieces[id].score > best) {
          best = this.pieces[id].score;
          place = i;
        }
      }
      if (place < 0) return pieces;
      pieces.splice(place, 2, pieces[place] + pieces[place + 1]);
    }
  }

  /** Return the longest symbol that begins at a place, or null. Symbols are always one token. */
  findSymbol(characters, start) {
    for (let end = Math.min(characters.length, start + this.longest); end > start; end--) {
      const id = this.ids.get(characters.slice(start, end).join(""));
      if (id !== undefined && this.pieces[id].type === USER_DEFINED) return this.pieces[id].text;
    }
    return null;
  }

  /** Return the start and the end of what each id adds to the text. All bytes of a character cover the character. */
  decodeSpans(ids) {
    let end = 0, span = [0, 0];
    return this.decodeParts(ids).map((part, index) => {
      const continues = !part && this.pieces[ids[index]]?.type === BYTE;
      if (!continues) span = [end, (end += part.length)];
      return span;
    });
  }

  /** Return the text of ids. Tags and other special tokens have no text. */
  decode(ids) {
    return this.decodeParts(ids).join("");
  }

  /** Return what each id adds to the text. The text of a character in several bytes belongs to its first byte. */
  decodeParts(ids) {
    const parts = ids.map(() => "");
    let started = false;
    for (let i = 0; i < ids.length; ) {
      const piece = this.pieces[ids[i]];
      if (piece?.type === BYTE) {
        const first = i, bytes = [];
        while (i < ids.length && this.pieces[ids[i]]?.type === BYTE) bytes.push(byteOf(this.pieces[ids[i++]]));
        for (const [offset, character] of decodeBytes(bytes)) parts[first + offset] = character;
        started = true;
        continue;
      }
      if (piece && piece.type !== CONTROL) {
        let text = piece.type === UNKNOWN ? " ⁇ " : piece.text;
        if (!started && text.startsWith(SPACE)) text = text.slice(1);
        parts[i] = text.replaceAll(SPACE, " ");
        started = true;
      }
      i++;
    }
    return unescape(parts);
  }

  /** Return a text in the form of `spellings`: a text begins with another if its spelling does. */
  spell(text) {
    return text ? spellPiece(`${SPACE}${escape(text)}`.replaceAll(" ", SPACE)) : [];
  }

  /** Return what each id adds to the spelling of a text: UTF-8, with SPELLED_SPACE for each space. */
  get spellings() {
    return this.pieces.map((piece) => {
      if (piece.type === CONTROL || piece.type === UNKNOWN) return [];
      return piece.type === BYTE ? [byteOf(piece)].filter((byte) => byte !== SPELLED_SPACE) : spellPiece(piece.text);
    });
  }

  /** Return whether an id stands for text that the vocabulary does not know. */
  isUnknown(id) {
    return id === UNK || this.pieces[id]?.type === BYTE;
  }
}

function spellPiece(text) {
  return text.split(SPACE).flatMap((part, index) => [...(index ? [SPELLED_SPACE] : []), ...encoder.encode(part)]);
}

function byteOf({ text }) {
  return parseInt(text.slice(3, 5), 16);
}

function escape(text) {
  const whole = text.replace(/\p{Surrogate}/gu, "\ufffd");
  return whole.replaceAll(ESCAPE, `${ESCAPE}0`).replaceAll(SPACE, `${ESCAPE}1`);
}

/** Undo `escape` in the parts of a text, in place. An escape can be divided between two parts. */
function unescape(parts) {
  const undo = (digit) => (digit === "1" ? SPACE : ESCAPE);
  let open = -1; // the part that ends with an escape character
  parts.forEach((part, index) => {
    if (open >= 0 && /^[01]/.test(part)) {
      parts[open] = parts[open].slice(0, -1) + undo(part[0]);
      part = part.slice(1);
    }
    if (part) open = part.endsWith(ESCAPE) ? index : -1;
    parts[index] = part.replace(/\uebb5([01])/g, (_, digit) => undo(digit));
  });
  return parts;
}

/** Decode UTF-8. Yield the place of the first byte of each character, and the character, or U+FFFD for a wrong byte. */
function* decodeBytes(bytes) {
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i], length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    let character = null;
    try {
      character = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
        Uint8Array.from(bytes.slice(i, i + length)),
      );
    } catch {
      // the bytes are no character
    }
    yield [i, character ?? "\ufffd"];
    i += character === null ? 1 : length;
  }
}

/** Read the pieces and the type of a model, a protobuf message. */
function readModel(message) {
  const pieces = [];
  let kind = UNIGRAM;
  for (const [field, value] of readFields(message)) {
    if (field === 1) {
      const piece = { text: "", score: 0, type: NORMAL };
      for (const [inner, content] of readFields(value)) {
        if (inner === 1) piece.text = new TextDecoder().decode(content);
        else if (inner === 2) piece.score = new DataView(content.slice().buffer).getFloat32(0, true);
        else if (inner === 3) piece.type = content;
      }
      pieces.push(piece);
    } else if (field === 2) {
      for (const [inner, content] of readFields(value)) if (inner === 3) kind = content;
    }
  }
  return { pieces, kind };
}

/** Yield the number and the value of each field of a protobuf message. */
function* readFields(message) {
  let position = 0;
  const readNumber = () => {
    let number = 0, factor = 1, byte;
    do {
      byte = message[position++];
      number += (byte & 0x7f) * factor;
      factor *= 128;
    } while (byte >= 0x80);
    return number;
  };
  while (position < message.length) {
    const tag = readNumber(), wire = tag & 7, field = tag >> 3;
    if (wire === 0) {
      yield [field, readNumber()];
    } else {
      const size = wire === 2 ? readNumber() : wire === 5 ? 4 : 8;
      yield [field, message.subarray(position, position + size)];
      position += size;
    }
  }
}
