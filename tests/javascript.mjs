// Answers the questions of tests/javascript.py: lines of JSON, each with a name and arguments.

import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";

const folder = process.argv[2];
const engine = (name) => import(`${folder}/${name}.js`);
const { Normalizer } = await engine("normalization");
const { Tokenizer } = await engine("subwords");
const truecasing = await engine("truecasing");
const { splitSentences } = await engine("sentences");
const { findThings } = await engine("things");
const { findLoop } = await engine("guards");
const { load } = await engine("nmt");

const kept = new Map();
const keep = (key, make) => kept.get(key) ?? kept.set(key, make()).get(key);
const tokenizer = (path) =>
  keep(path, () => {
    const file = readFileSync(path);
    return new Tokenizer(file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength));
  });
const truecaser = (tables) => keep(JSON.stringify(tables), () => new truecasing.Truecaser(tables));
const translator = (model) => keep(model, () => load(new URL(model)));

const FUNCTIONS = {
  normalize: (rules, texts) => texts.map((text) => keep(JSON.stringify(rules), () => new Normalizer(rules)).normalize(text)),
  fold: (words) => words.map(truecasing.fold),
  title: (words) => words.map(truecasing.writeTitle),
  capitals: (texts) => texts.map(truecasing.isCapitals),
  upper: (texts, language) => texts.map((text) => truecasing.writeCapitals(text, language)),
  restore: (tables, lines) => lines.map((line) => truecaser(tables).restore(line)),
  encode: (path, texts) => texts.map((text) => tokenizer(path).encode(text)),
  decode: (path, lists) => lists.map((ids) => tokenizer(path).decode(ids)),
  spell: (path, texts) => texts.map((text) => tokenizer(path).spell(text)),
  spellings: (path) => tokenizer(path).spellings,
  loop: (path, lists) => lists.map((ids) => findLoop(ids, tokenizer(path))),
  sentences: (texts) => texts.map(splitSentences),
  things: (texts) => texts.map((text) => findThings(text).map(([start, end]) => text.slice(start, end))),
  translate: async (model, lines, options) => {
    const loaded = await translator(model), results = [];
    for (const line of lines) results.push(await loaded.translate(line, options));
    return results;
  },
  alternatives: async (model, line, prefix, options) => (await translator(model)).alternatives(line, prefix, options),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...values] = JSON.parse(line);
  let answer;
  try {
    answer = { result: await FUNCTIONS[name](...values) };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
