/**
 * Translation with an exported model, in browsers and in Node.js.
 *
 *     import { translate } from "./exported/engine/nmt.js";
 *     await translate("A man rides a horse.");  // "Ein Mann reitet auf einem Pferd."
 */

import { Translator } from "./translator.js";

const FOLDER = new URL("../model/", import.meta.url);
let loading = null;

/**
 * Load the model of a folder.
 *
 * @param {string | URL} [folder] the address of a folder with web.json. By default, ../model/.
 * @param {(loaded: number, total: number) => void} [report] called with the bytes that have been read
 * @returns {Promise<Translator>}
 */
export async function load(folder = FOLDER, report = () => {}) {
  const base = new URL(String(folder).replace(/\/*$/, "/"), import.meta.url);
  const description = JSON.parse(new TextDecoder().decode(await read(new URL("web.json", base))));
  const total = description.files.reduce((sum, { bytes }) => sum + bytes, 0);
  let loaded = 0;
  const files = await Promise.all(
    description.files.map(async ({ name, bytes }) => {
      const content = await read(new URL(name, base));
      if (content.byteLength !== bytes) throw new Error(`${name} has ${content.byteLength} bytes instead of ${bytes}`);
      report((loaded += bytes), total);
      return [name, content];
    }),
  );
  return new Translator(description, new Map(files));
}

/** Translate a text with the model in ../model/, which is loaded by the first call. */
export async function translate(text, options) {
  loading ??= load();
  return (await (await loading).translate(text, options)).text;
}

async function read(address) {
  if (address.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    const content = await readFile(address);
    return content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength);
  }
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}
