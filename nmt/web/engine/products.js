/** Products of matrices with rows of numbers, and the functions that networks apply to their elements. */

/**
 * A matrix of weights. `values` has `rows` × `columns` numbers, row by row.
 * @typedef {{rows: number, columns: number, values: Float32Array}} Matrix
 */

/**
 * Compute W x + b for several rows x.
 *
 * Four rows share each weight that is read. Sums are computed in double precision and rounded to float32 at the end.
 *
 * @param {Matrix} weight W
 * @param {?Float32Array} bias b
 * @param {Float32Array} inputs the rows x, (count, columns)
 * @param {number} count the number of rows
 * @returns {Float32Array} (count, rows of W)
 */
export function multiply(weight, bias, inputs, count) {
  const { rows, columns, values } = weight;
  const outputs = new Float32Array(count * rows);
  let n = 0;
  for (; n + 4 <= count; n += 4) multiplyFour(values, rows, columns, inputs, n, outputs);
  for (; n < count; n++) multiplyOne(values, rows, columns, inputs, n, outputs);
  if (bias) for (let k = 0, o = 0; k < count; k++) for (let i = 0; i < rows; i++, o++) outputs[o] += bias[i];
  return outputs;
}

function multiplyFour(values, rows, columns, inputs, n, outputs) {
  const p = n * columns, q = p + columns, r = q + columns, s = r + columns;
  for (let i = 0, w = 0; i < rows; i++) {
    let a = 0, b = 0, c = 0, d = 0;
    for (let j = 0; j < columns; j++, w++) {
      const value = values[w];
      a += value * inputs[p + j];
      b += value * inputs[q + j];
      c += value * inputs[r + j];
      d += value * inputs[s + j];
    }
    const o = n * rows + i;
    outputs[o] = a;
    outputs[o + rows] = b;
    outputs[o + 2 * rows] = c;
    outputs[o + 3 * rows] = d;
  }
}

function multiplyOne(values, rows, columns, inputs, n, outputs) {
  const x = n * columns, even = columns - (columns % 4);
  for (let i = 0, w = 0; i < rows; i++, w += columns) {
    let a = 0, b = 0, c = 0, d = 0;
    for (let j = 0; j < even; j += 4) {
      a += values[w + j] * inputs[x + j];
      b += values[w + j + 1] * inputs[x + j + 1];
      c += values[w + j + 2] * inputs[x + j + 2];
      d += values[w + j + 3] * inputs[x + j + 3];
    }
    for (let j = even; j < columns; j++) a += values[w + j] * inputs[x + j];
    outputs[n * rows + i] = a + b + c + d;
  }
}

export function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

/** Apply tanh to each number, in place. */
export function applyTanh(values) {
  for (let i = 0; i < values.length; i++) values[i] = Math.tanh(values[i]);
  return values;
}

/** Replace `count` scores from `start` on by their softmax. */
export function applySoftmax(scores, start, count) {
  let highest = -Infinity, sum = 0;
  for (let i = start; i < start + count; i++) if (scores[i] > highest) highest = scores[i];
  for (let i = start; i < start + count; i++) sum += scores[i] = Math.exp(scores[i] - highest);
  for (let i = start; i < start + count; i++) scores[i] /= sum;
}

/** Return log Σ e^x over `count` numbers from `start` on. */
export function logSumExp(values, start, count) {
  let highest = -Infinity, sum = 0;
  for (let i = start; i < start + count; i++) if (values[i] > highest) highest = values[i];
  for (let i = start; i < start + count; i++) sum += Math.exp(values[i] - highest);
  return highest + Math.log(sum);
}

/** Normalize each row of numbers, in place: layer normalization (Ba et al. 2016). */
export function normalizeRows(values, gain, shift) {
  const size = gain.length;
  for (let row = 0; row < values.length; row += size) {
    let mean = 0, variance = 0;
    for (let i = 0; i < size; i++) mean += values[row + i];
    mean /= size;
    for (let i = 0; i < size; i++) variance += (values[row + i] - mean) ** 2;
    const scale = 1 / Math.sqrt(variance / size + 1e-5);
    for (let i = 0; i < size; i++) values[row + i] = (values[row + i] - mean) * scale * gain[i] + shift[i];
  }
  return values;
}

/** Concatenate the rows of several matrices side by side. `parts` are pairs of values and columns. */
export function joinRows(parts, count) {
  const width = parts.reduce((sum, [, columns]) => sum + columns, 0);
  const joined = new Float32Array(count * width);
  let offset = 0;
  for (const [values, columns] of parts) {
    for (let n = 0; n < count; n++) joined.set(values.subarray(n * columns, (n + 1) * columns), n * width + offset);
    offset += columns;
  }
  return joined;
}

/** Return the rows with these indices of rows of `columns` numbers. */
export function selectRows(values, columns, indices) {
  const selected = new Float32Array(indices.length * columns);
  indices.forEach((index, n) => selected.set(values.subarray(index * columns, (index + 1) * columns), n * columns));
  return selected;
}
