/** Reading of safetensors files. */

const TYPES = { I8: Int8Array, F32: Float32Array, I32: Int32Array };

/**
 * Read the tensors of a safetensors file.
 *
 * A matrix NAME of 8-bit integers is multiplied by the scales of its rows, the tensor NAME.scale. A scale has 16 bits
 * of significand, so the products are exact.
 *
 * @param {ArrayBuffer} file the content of the file
 * @returns {Map<string, {shape: number[], values: Float32Array | Int32Array}>}
 */
export function readTensors(file) {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  delete header.__metadata__;
  const raw = new Map();
  for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(header)) {
    if (!TYPES[dtype]) throw new Error(`the tensor ${name} has the type ${dtype}, which this page cannot read`);
    raw.set(name, { shape, values: new TYPES[dtype](file.slice(8 + length + begin, 8 + length + end)) });
  }
  const tensors = new Map();
  for (const [name, { shape, values }] of raw) {
    if (values instanceof Int8Array) {
      tensors.set(name, { shape, values: dequantize(values, raw.get(`${name}.scale`).values, shape[1]) });
    } else if (!(raw.get(name.replace(/\.scale$/, ""))?.values instanceof Int8Array)) {
      tensors.set(name, { shape, values });
    }
  }
  return tensors;
}

function dequantize(levels, scales, columns) {
  const values = new Float32Array(levels.length);
  for (let row = 0, i = 0; row < scales.length; row++) {
    for (const end = i + columns; i < end; i++) values[i] = levels[i] * scales[row];
  }
  return values;
}
