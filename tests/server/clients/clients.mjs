// Calls a server with clients from npm, and writes what they return as JSON.
//
//   node clients.mjs FOLDER URL TEXT...
//
// FOLDER contains node_modules.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, url, ...texts] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { default: translate } = await import(pathToFileURL(require.resolve("translate")));
const deepl = require("deepl-node");

async function callTranslate() {
  translate.engine = "libre";
  translate.url = `${url}/translate`;
  translate.key = "any";
  return Promise.all(texts.map((text) => translate(text, { from: "en", to: "de" })));
}

async function callDeepL() {
  const client = new deepl.DeepLClient("any", { serverUrl: url, maxRetries: 0 });
  const found = await client.translateText(texts, "en", "de");
  const glossary = await client.createGlossary("own", "en", "de", new deepl.GlossaryEntries({ entries: { sister: "Nonne" } }));
  const withTerms = await client.translateText(texts, "en", "de", { glossary });
  const entries = (await client.getGlossaryEntries(glossary)).entries();
  await client.deleteGlossary(glossary);
  const multi = await client.createMultilingualGlossary("two", [
    { sourceLangCode: "en", targetLangCode: "de", entries: new deepl.GlossaryEntries({ entries: { a: "b" } }) },
  ]);
  const dictionary = await client.getMultilingualGlossaryDictionaryEntries(multi, "en", "de");
  await client.deleteMultilingualGlossary(multi);
  const marked = await client.translateText(`<p>${texts[0]}</p>`, "en", "de", { tagHandling: "html" });
  const error = await client.translateText("a", "en", "xx").catch((fault) => `${fault.constructor.name}: ${fault.message}`);
  return {
    texts: found.map((one) => one.text),
    detected: found.map((one) => one.detectedSourceLang),
    billed: found.map((one) => one.billedCharacters),
    withTerms: withTerms.map((one) => one.text),
    entries,
    dictionary: dictionary.entries.entries(),
    marked: marked.text,
    sources: (await client.getSourceLanguages()).map((one) => one.code),
    targets: (await client.getTargetLanguages()).map((one) => one.code),
    pairs: (await client.getGlossaryLanguagePairs()).length,
    count: (await client.getUsage()).character.count,
    error,
  };
}

async function callDocument() {
  const client = new deepl.DeepLClient("any", { serverUrl: url, maxRetries: 0 });
  const output = join(mkdtempSync(join(tmpdir(), "clients-")), "translated.txt");
  await client.translateDocument(Buffer.from(`${texts[0]}\n`), output, "en", "de", { filename: "a.txt" });
  const text = readFileSync(output, "utf-8");
  rmSync(dirname(output), { recursive: true });
  return text;
}

console.log(JSON.stringify({ translate: await callTranslate(), deepl: await callDeepL(), document: await callDocument() }));
