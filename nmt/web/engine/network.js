/**
 * The network: embeddings, encoder, decoder and output layer. It computes what nmt/model/ computes, for networks of
 * bidirectional encoders, LSTM, GRU and plain RNN cells, and dot or general attention.
 */

import {
  applySoftmax, applyTanh, joinRows, multiply, normalizeRows, selectRows, sigmoid,
} from "./products.js";

const GATES = { lstm: 4, gru: 3, rnn: 1 };

/**
 * The equations of a time step for one row (nmt/model/cells.py). `x` are W x + b and `u` are U h + b of all gates, from
 * place `g` on. The state from place `s` on is read from `before` and written to `after`.
 */
const STEPS = {
  lstm(x, u, g, size, before, after, s) {
    for (let i = 0; i < size; i++, g++, s++) {
      const input = sigmoid(x[g] + u[g]), forget = sigmoid(x[g + size] + u[g + size]);
      const update = Math.tanh(x[g + 2 * size] + u[g + 2 * size]), output = sigmoid(x[g + 3 * size] + u[g + 3 * size]);
      const c = forget * before.c[s] + input * update;
      after.c[s] = c;
      after.h[s] = output * Math.tanh(c);
    }
  },
  gru(x, u, g, size, before, after, s) {
    for (let i = 0; i < size; i++, g++, s++) {
      const reset = sigmoid(x[g] + u[g]), update = sigmoid(x[g + size] + u[g + size]);
      const next = Math.tanh(x[g + 2 * size] + reset * u[g + 2 * size]);
      after.h[s] = (1 - update) * next + update * before.h[s];
    }
  },
  rnn(x, u, g, size, before, after, s) {
    for (let i = 0; i < size; i++, g++, s++) after.h[s] = Math.tanh(x[g] + u[g]);
  },
};

/** A recurrent layer. */
class Layer {
  constructor(tensors, prefix, cell) {
    const of = (kind) => tensors.get(`${prefix}.fused.${kind}_l0`);
    this.cell = cell;
    this.input = matrix(of("weight_ih"));
    this.recurrent = matrix(of("weight_hh"));
    this.inputBias = of("bias_ih").values;
    this.recurrentBias = of("bias_hh").values;
    this.size = this.recurrent.columns;
  }

  /** Compute W x + b for rows of inputs. */
  project(inputs, count) {
    return multiply(this.input, this.inputBias, inputs, count);
  }

  /**
   * Compute the state after a time step. A state is an object with h, and for an LSTM also c, (count, size).
   *
   * `projected` are rows of W x + b, the first of which is row `first`.
   */
  step(projected, first, state, count) {
    const { cell, size } = this, gates = GATES[cell] * size;
    const added = projected.subarray(first * gates, (first + count) * gates);
    const recurrent = multiply(this.recurrent, this.recurrentBias, state.h, count);
    const next = { h: new Float32Array(count * size), c: cell === "lstm" ? new Float32Array(count * size) : null };
    for (let n = 0; n < count; n++) STEPS[cell](added, recurrent, n * gates, size, state, next, n * size);
    return next;
  }
}

/** What the decoder reads of a sentence: `keys` (length, H) and `values` (length, C) of attention. */
class Memory {
  constructor(keys, values, length) {
    Object.assign(this, { keys, values, length });
  }
}

export class Network {
  /**
   * @param {object} model the architecture: the object `model` of web.json
   * @param {Map<string, {shape: number[], values: Float32Array}>} tensors the weights, by name
   */
  constructor(model, tensors) {
    const weights = (name) => matrix(tensors.get(`${name}.weight`));
    const vector = (name) => tensors.get(name)?.values ?? null;
    const norm = (name) => (model.layer_norm ? [vector(`${name}.weight`), vector(`${name}.bias`)] : null);
    this.model = model;
    this.target = weights("target_embedding");
    this.source = model.tied_embeddings === "three_way" ? this.target : weights("source_embedding");
    const layers = (count, make) => Array.from({ length: count }, (_, index) => make(index));
    this.encoder = layers(model.encoder_layers, (index) => ({
      directions: ["forward", "backward"].map(
        (direction) => new Layer(tensors, `encoder.layers.${index}.${direction}_layer`, model.cell),
      ),
      norm: norm(`encoder.norms.${index}`),
    }));
    this.decoder = layers(model.decoder_layers, (index) => ({
      layer: new Layer(tensors, `decoder.layers.${index}`, model.cell),
      norm: norm(`decoder.norms.${index}`),
    }));
    this.bridge = model.bridge === "none" ? null : weights("decoder.bridge.linear");
    this.bridgeBias = vector("decoder.bridge.linear.bias");
    this.key = model.attention === "general" ? weights("decoder.attention.key") : null;
    this.combine = weights("decoder.combine");
    this.combineBias = vector("decoder.combine.bias");
    this.projection = model.tied_embeddings === "none" ? null : weights("project");
    this.output = model.tied_embeddings === "none" ? weights("output") : this.target;
    this.outputBias = vector("output.bias");
  }

  /** Return the scaled embeddings (count, E) of tokens. */
  embed(embeddings, tokens) {
    const rows = selectRows(embeddings.values, embeddings.columns, tokens);
    for (let i = 0; i < rows.length; i++) rows[i] *= this.model.embedding_scale;
    return rows;
  }

  /** Encode the tokens of a sentence. Return its memory, and the state of the decoder before the first token. */
  encode(tokens) {
    const S = tokens.length, C = this.model.encoder_size;
    let below = this.embed(this.source, tokens);
    this.encoder.forEach(({ directions, norm }, index) => {
      const outputs = new Float32Array(S * C);
      directions.forEach((layer, direction) => {
        const projected = layer.project(below, S);
        let state = { h: new Float32Array(layer.size), c: new Float32Array(layer.size) };
        for (let t = 0; t < S; t++) {
          const position = direction ? S - 1 - t : t;
          state = layer.step(projected, position, state, 1);
          outputs.set(state.h, position * C + direction * layer.size);
        }
      });
      if (norm) normalizeRows(outputs, ...norm);
      if (index && this.model.residual) for (let i = 0; i < outputs.length; i++) outputs[i] += below[i];
      below = outputs;
    });
    const keys = this.key ? multiply(this.key, null, below, S) : below;
    return { memory: new Memory(keys, below, S), state: this.start(below, S) };
  }

  /** Compute the state of the decoder, with one row, from the outputs (S, C) of the encoder. */
  start(outputs, S) {
    const { encoder_size: C, decoder_size: H, bridge } = this.model, states = this.model.cell === "lstm" ? 2 : 1;
    let flat = new Float32Array(this.decoder.length * states * H);
    if (bridge === "mean") {
      const summary = new Float32Array(C);
      for (let i = 0; i < C; i++) {
        let sum = 0;
        for (let s = 0; s < S; s++) sum += outputs[s * C + i];
        summary[i] = sum / S;
      }
      flat = applyTanh(multiply(this.bridge, this.bridgeBias, summary, 1));
    } else if (bridge === "final") {
      const summary = new Float32Array(C);
      summary.set(outputs.subarray((S - 1) * C, (S - 1) * C + C / 2));
      summary.set(outputs.subarray(C / 2, C), C / 2);
      flat = applyTanh(multiply(this.bridge, this.bridgeBias, summary, 1));
    }
    const part = (index) => flat.slice(index * H, (index + 1) * H);
    const layers = this.decoder.map((_, index) => ({
      h: part(index * states),
      c: states > 1 ? part(index * states + 1) : null,
    }));
    return { layers, feed: new Float32Array(H) };
  }

  /**
   * Decode one target position of several hypotheses of a sentence.
   *
   * @param {number[]} tokens the last token of each hypothesis
   * @param {object} state the state before the step, with a row for each hypothesis
   * @param {Memory} memory the encoded sentence
   * @returns {{vectors: Float32Array, attention: Float32Array, state: object}} the rows that the output layer reads,
   *     the attention weights (N, S), and the next state
   */
  step(tokens, state, memory) {
    const N = tokens.length, { embedding_size: E, decoder_size: H, encoder_size: C } = this.model;
    const feeding = this.model.decoder === "input_feeding";
    const embedded = this.embed(this.target, tokens);
    let hidden = feeding ? joinRows([[embedded, E], [state.feed, H]], N) : embedded;
    let attended = null;
    const layers = this.decoder.map(({ layer, norm }, index) => {
      const inputs = index && !feeding ? joinRows([[hidden, H], [attended.context, C]], N) : hidden;
      const next = layer.step(layer.project(inputs, N), 0, state.layers[index], N);
      const outputs = norm ? normalizeRows(next.h.slice(), ...norm) : next.h.slice();
      if (index && this.model.residual) for (let i = 0; i < outputs.length; i++) outputs[i] += hidden[i];
      hidden = outputs;
      if (!index && !feeding) attended = this.attend(hidden, memory, N);
      return next;
    });
    if (feeding) attended = this.attend(hidden, memory, N);
    const joined = joinRows([[attended.context, C], [hidden, H]], N);
    const feed = applyTanh(multiply(this.combine, this.combineBias, joined, N));
    const vectors = this.projection ? multiply(this.projection, null, feed, N) : feed;
    return { vectors, attention: attended.weights, state: { layers, feed } };
  }

  /** Compute the contexts (N, C) and the weights (N, S) of attention for queries (N, H). */
  attend(queries, memory, N) {
    const { decoder_size: H, encoder_size: C } = this.model, S = memory.length;
    const weights = multiply({ rows: S, columns: H, values: memory.keys }, null, queries, N);
    const context = new Float32Array(N * C), sums = new Float64Array(C);
    for (let n = 0; n < N; n++) {
      applySoftmax(weights, n * S, S);
      sums.fill(0);
      for (let s = 0; s < S; s++) {
        const weight = weights[n * S + s];
        for (let i = 0; i < C; i++) sums[i] += weight * memory.values[s * C + i];
      }
      context.set(sums, n * C);
    }
    return { context, weights };
  }

  /** Return the output layer for some tokens: a matrix with a row for each of them, and their biases. */
  selectOutput(tokens) {
    const { columns } = this.output;
    return {
      weight: { rows: tokens.length, columns, values: selectRows(this.output.values, columns, tokens) },
      bias: Float32Array.from(tokens, (token) => this.outputBias[token]),
    };
  }

  /** Return the rows of a state with these indices. */
  selectState(state, rows) {
    const { decoder_size: H } = this.model;
    return {
      layers: state.layers.map(({ h, c }) => ({ h: selectRows(h, H, rows), c: c && selectRows(c, H, rows) })),
      feed: selectRows(state.feed, H, rows),
    };
  }
}

function matrix({ shape: [rows, columns], values }) {
  return { rows, columns, values };
}
