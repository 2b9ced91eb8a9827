/** Beam search of a sentence. It chooses the same tokens as the searches in nmt/search/ and nmt/native/. */

import { logSumExp, multiply } from "./products.js";

export const BOS = 2, EOS = 3;

/** The options of a search, with the meaning and the defaults of `SearchOptions` in nmt/search/options.py. */
export const DEFAULTS = Object.freeze({
  beam: 5,
  nbest: 1,
  lengthPenalty: 1,
  coveragePenalty: 0,
  minLength: 1,
  maxLengthFactor: 2,
  maxLengthExtra: 10,
  noRepeatNgramSize: 0,
});

/** Return the maximum number of tokens of a translation, without EOS. `sourceLength` includes EOS. */
export function maxLength(options, sourceLength) {
  const limit = Math.trunc(options.maxLengthFactor * sourceLength) + options.maxLengthExtra;
  return Math.max(1, options.minLength, limit);
}

/**
 * A finished translation.
 * @typedef {object} Hypothesis
 * @property {number[]} ids its tokens, without EOS
 * @property {number} logProbability log P, including EOS
 * @property {number} score what ranks hypotheses
 * @property {number[]} logProbabilities log P of each token and of EOS
 * @property {Float32Array[]} attention for each token and EOS, the attention weights of the source tokens
 */

/**
 * A part of a text that is translated as a whole.
 * @typedef {object} Sentence
 * @property {number[]} source the ids, EOS last
 * @property {number[]} [prefix] the tokens with which a translation begins
 * @property {[number, number][][]} [guide] what can follow the prefix: for each state, tokens and the states after them
 */

export class Search {
  /**
   * @param {import("./network.js").Network} network
   * @param {number} producible the number of tokens that text can contain; tags follow them
   * @param {?Shortlist} shortlist
   */
  constructor(network, producible, shortlist = null) {
    Object.assign(this, { network, producible, shortlist });
  }

  /**
   * Search the best translations of a sentence, the best first.
   *
   * @param {Sentence} sentence
   * @param {object} options a complete set of options
   * @param {(ids: number[]) => string} [write] what is different in translations of an n-best list: their text
   * @returns {Hypothesis[]}
   */
  run(sentence, options, write) {
    const { network } = this;
    const beam = new Beam(this, sentence, options, write);
    const { memory, state: start } = network.encode(sentence.source);
    let state = start, tokens = [BOS];
    while (tokens.length) {
      const step = network.step(tokens, state, memory);
      const scores = beam.score(step.vectors, tokens.length);
      const { origins, next } = beam.extend(scores, step.attention);
      state = network.selectState(step.state, origins);
      tokens = next;
    }
    return beam.best();
  }

  /**
   * Return log P of each token of several translations of a source, among all tokens.
   *
   * @param {number[]} source the ids of the source, EOS last
   * @param {number[][]} targets the ids of the translations
   * @returns {number[][]}
   */
  score(source, targets) {
    const { network } = this, { memory, state: start } = network.encode(source);
    const { output, outputBias: bias } = network, first = EOS; // PAD, UNK and BOS never follow
    const steps = new Map(); // by the tokens before them, since many translations begin alike
    const predict = (tokens) => {
      const key = tokens.join();
      if (!steps.has(key)) {
        const before = tokens.length ? predict(tokens.slice(0, -1)).state : start;
        const { vectors, state } = network.step([tokens.at(-1) ?? BOS], before, memory);
        const scores = multiply(output, bias, vectors, 1);
        steps.set(key, { state, scores, norm: logSumExp(scores, first, scores.length - first) });
      }
      return steps.get(key);
    };
    return targets.map((target) =>
      target.map((token, index) => {
        const { scores, norm } = predict(target.slice(0, index));
        return token < first ? -Infinity : scores[token] - norm;
      }),
    );
  }

  /** Return the target tokens that a translation may contain, in ascending order. */
  listCandidates({ source, prefix = [], guide = [] }) {
    const all = this.network.output.rows;
    if (!this.shortlist) return Array.from({ length: all - EOS }, (_, index) => EOS + index);
    const marks = new Uint8Array(all);
    const mark = (tokens) => tokens.forEach((token) => (marks[token] = 1));
    mark([EOS]);
    mark(this.shortlist.frequent);
    for (const token of source) mark(this.shortlist.of(token));
    mark(prefix.filter((token) => token >= EOS));
    for (const arcs of guide) mark(arcs.map(([token]) => token));
    return Array.from(marks.keys()).filter((token) => marks[token]);
  }
}

/** A lexical shortlist: frequent target tokens, and likely translations of each source token. */
export class Shortlist {
  constructor(tensors) {
    const { shape: [, width], values } = tensors.get("best");
    Object.assign(this, { frequent: tensors.get("frequent").values, width, best: values });
  }

  of(token) {
    return this.best.subarray(token * this.width, (token + 1) * this.width);
  }
}

/** The hypotheses of a sentence. `live` are those that have not ended. */
class Beam {
  constructor(search, sentence, options, write) {
    const { prefix = [], guide = [] } = sentence;
    Object.assign(this, { options, prefix, guide, write });
    const required = prefix.length + guide.length, limit = maxLength(options, sentence.source.length);
    this.limit = required ? Math.max(limit, required + options.maxLengthExtra) : limit;
    this.candidates = search.listCandidates(sentence);
    this.output = search.network.selectOutput(this.candidates);
    this.columns = new Map(this.candidates.map((token, column) => [token, column]));
    this.banned = this.candidates.flatMap((token, column) => (token >= search.producible ? [column] : []));
    this.S = sentence.source.length;
    this.live = [{ logProbability: 0, state: 0 }];
    this.steps = []; // for each step, the token, the origin and the attention weights of each live hypothesis
    this.finished = [];
  }

  /** Compute log P of each candidate as the next token, (N, W). Forbidden tokens have −∞. */
  score(vectors, N) {
    const W = this.candidates.length, scores = multiply(this.output.weight, this.output.bias, vectors, N);
    for (let k = 0; k < N; k++) {
      const norm = logSumExp(scores, k * W, W), row = scores.subarray(k * W, (k + 1) * W);
      for (let c = 0; c < W; c++) row[c] -= norm;
      this.applyRules(row, k);
    }
    return scores;
  }

  applyRules(row, k) {
    const length = this.steps.length, { minLength, noRepeatNgramSize: size } = this.options, end = row[0];
    if (length >= this.limit) {
      row.fill(-Infinity);
      row[0] = end;
      return;
    }
    if (length < minLength && row.length > 1) row[0] = -Infinity;
    for (const column of this.banned) row[column] = -Infinity;
    const { state } = this.live[k];
    if (length < this.prefix.length) this.keepOnly(row, [this.prefix[length]]);
    else if (state < this.guide.length) this.keepOnly(row, this.guide[state].map(([token]) => token));
    if (size && length >= size) this.blockRepetitions(row, this.readPath(length, k, "tokens"), size);
  }

  keepOnly(row, tokens) {
    const kept = tokens.map((token) => [this.columns.get(token), row[this.columns.get(token)]]);
    row.fill(-Infinity);
    for (const [column, score] of kept) row[column] = score;
  }

  /** Forbid the tokens that would repeat an n-gram, unless nothing else is possible. */
  blockRepetitions(row, history, size) {
    const context = history.slice(history.length - size + 1), blocked = [];
    for (let i = 0; i + size <= history.length; i++) {
      const column = this.columns.get(history[i + size - 1]);
      if (column === undefined || !context.every((token, j) => history[i + j] === token)) continue;
      if (row[column] > -Infinity) blocked.push([column, row[column]]);
      row[column] = -Infinity;
    }
    if (!row.some((score) => score > -Infinity)) for (const [column, score] of blocked) row[column] = score;
  }

  /** Extend the hypotheses by one token. Return the rows from which the new ones come, and their tokens. */
  extend(scores, attention) {
    const { live } = this, { beam } = this.options, W = this.candidates.length, best = live[0].logProbability;
    const chosen = []; // the best extensions by other tokens than EOS, the best first
    const ends = live.map(({ logProbability }, k) => scores[k * W] + (logProbability - best));
    live.forEach(({ logProbability }, k) => {
      const ahead = logProbability - best;
      let lowest = chosen.length === beam ? chosen[beam - 1].value : -Infinity;
      for (let c = 1; c < W; c++) {
        const value = scores[k * W + c] + ahead;
        if (!(value > lowest)) continue;
        let place = chosen.length;
        while (place && chosen[place - 1].value < value) place--;
        chosen.splice(place, 0, { value, origin: k, column: c });
        if (chosen.length > beam) chosen.pop();
        if (chosen.length === beam) lowest = chosen[beam - 1].value;
      }
    });
    ends.forEach((end, k) => {
      let better = ends.filter((other, i) => i !== k && other >= end).length;
      better += chosen.filter(({ value }) => value >= end).length;
      if (better < beam && end > -Infinity) this.finish(k, best + end, attention);
    });
    const next = chosen.map(({ value, origin, column }) => {
      const token = this.candidates[column];
      return { logProbability: best + value, token, origin, state: this.follow(live[origin].state, token) };
    });
    this.steps.push({
      tokens: next.map(({ token }) => token),
      origins: next.map(({ origin }) => origin),
      logProbabilities: next.map(({ logProbability, origin }) => logProbability - live[origin].logProbability),
      attention,
    });
    const done = !next.length || !(next[0].logProbability > this.computeBar());
    this.live = done ? [] : next;
    return {
      origins: this.live.map(({ origin }) => origin),
      next: this.live.map(({ token }) => token),
    };
  }

  /** Return the state of the guide after a token. */
  follow(state, token) {
    if (this.steps.length < this.prefix.length || state >= this.guide.length) return state;
    return this.guide[state].find(([arc]) => arc === token)[1];
  }

  finish(row, logProbability, attention) {
    const length = this.steps.length, { lengthPenalty, coveragePenalty } = this.options;
    const ids = this.readPath(length, row, "tokens"), weights = this.readAttention(length, row, attention);
    const logProbabilities = this.readPath(length, row, "logProbabilities");
    logProbabilities.push(logProbability - this.live[row].logProbability);
    let score = logProbability / (length + 1) ** lengthPenalty;
    if (coveragePenalty) {
      for (let s = 0; s < this.S; s++) {
        const covered = weights.reduce((sum, own) => sum + own[s], 0);
        score += coveragePenalty * Math.log(Math.min(Math.max(covered, 1.1754943508222875e-38), 1));
      }
    }
    this.finished.push({ ids, logProbability, score, logProbabilities, attention: weights });
  }

  /** Return the log P that a live hypothesis must exceed. Log P never rises, so others cannot be one of the best. */
  computeBar() {
    const { beam, nbest, lengthPenalty } = this.options, best = this.best();
    if (best.length < nbest) return -Infinity;
    if (this.finished.length >= beam) return Infinity;
    return best.at(-1).score * (this.limit + 1) ** lengthPenalty;
  }

  /** Return the best finished hypotheses with different texts. Equal scores are in the order of their tokens. */
  best() {
    this.finished.sort((one, other) => other.score - one.score || compareTokens(one.ids, other.ids));
    const { nbest } = this.options, known = new Set();
    if (nbest === 1) return this.finished.slice(0, 1);
    return this.finished.filter((hypothesis) => {
      hypothesis.text ??= this.write(hypothesis.ids);
      return known.size < nbest && known.size < known.add(hypothesis.text).size;
    });
  }

  /** Return the tokens, or what else each step has a list of, of the hypothesis in a row after `length` steps. */
  readPath(length, row, what) {
    const path = new Array(length);
    while (length--) {
      path[length] = this.steps[length][what][row];
      row = this.steps[length].origins[row];
    }
    return path;
  }

  readAttention(length, row, last) {
    const read = (weights) => weights.subarray(row * this.S, (row + 1) * this.S);
    const rows = [read(last)];
    while (length--) {
      row = this.steps[length].origins[row];
      rows.unshift(read(this.steps[length].attention));
    }
    return rows;
  }
}

function compareTokens(one, other) {
  const place = one.findIndex((token, index) => token !== other[index]);
  return place < 0 ? one.length - other.length : one[place] - (other[place] ?? -1);
}
