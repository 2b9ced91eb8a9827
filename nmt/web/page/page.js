/** The page: what happens when somebody types, chooses, points or clicks. */

import { AlternativesMenu } from "./alternatives.js";
import { chooseEngine } from "./engines.js";
import { acceptFiles } from "./files.js";
import { chooseTexts, nameLanguage, writeTexts } from "./texts.js";
import { TranslationView } from "./translation.js";

const PAUSE = 250; // milliseconds after the last key until a translation begins
const LONG = 280; // texts with more characters are written smaller
const THEMES = ["auto", "light", "dark"];

const find = (id) => document.getElementById(id);
const [text, source, target, swap, copy, clear, note, error, terms] = [
  "text", "source", "target", "swap", "copy", "clear", "note", "error", "terms",
].map(find);
const engine = chooseEngine();
const [translation, spoken, shadow] = ["translation", "spoken", "shadow"].map(find);
const view = new TranslationView({ translation, spoken, shadow, text });
const menu = new AlternativesMenu(find("alternatives"), view);

let texts = chooseTexts(localStorage.getItem("nmt-interface"));
let description = null;
let running = null; // the controller of the translation under way
let timer = 0;

function remember(name, value) {
  localStorage.setItem(`nmt-${name}`, value);
}

function showTheme() {
  const theme = localStorage.getItem("nmt-theme") ?? "auto";
  const dark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  find("theme").textContent = texts.theme[theme];
}

function showTexts() {
  writeTexts(texts);
  showTheme();
  find("interface").textContent = texts.interface;
  find("interface").lang = texts.code === "en" ? "de" : "en";
  const isLocal = document.querySelector('meta[name="engine"]').content === "browser";
  find("about").textContent = isLocal ? texts.aboutBrowser : texts.aboutServer;
  find("loading-text").textContent = texts.loading;
  if (description) showLanguages();
  showCount();
}

function fill(select, codes, chosen) {
  select.replaceChildren(
    ...codes.map((code) => new Option(code === "auto" ? texts.auto : nameLanguage(code, texts), code)),
  );
  select.value = codes.includes(chosen) ? chosen : codes[0];
  select.disabled = codes.length < 2;
}

function showLanguages() {
  const { pairs, detects } = description, sources = [...new Set(pairs.map((pair) => pair.source))];
  if (detects && sources.length > 1) sources.unshift("auto");
  fill(source, sources, source.value || localStorage.getItem("nmt-source"));
  const own = pairs.filter((pair) => source.value === "auto" || pair.source === source.value);
  fill(target, [...new Set(own.map((pair) => pair.target))], target.value || localStorage.getItem("nmt-target"));
  swap.disabled = !pairs.some((pair) => pair.source === target.value && pair.target === source.value);
  text.lang = source.value === "auto" ? "" : source.value;
  find("translation").lang = target.value;
  terms.value = localStorage.getItem(`nmt-terms ${source.value} ${target.value}`) ?? "";
}

function changeLanguages() {
  showLanguages();
  remember("source", source.value);
  remember("target", target.value);
  translateNow();
}

function showCount() {
  const { length } = text.value, limit = description?.limit ?? 0;
  find("count").textContent = length ? texts.count(length, limit) : "";
  clear.hidden = !length;
  document.body.classList.toggle("long", length > LONG);
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

function readTerms() {
  if (!description.terms) return [];
  const lines = terms.value.split("\n").map((line) => line.split(/=|\t/).map((part) => part.trim()));
  const whole = lines.filter((parts) => parts.length === 2 && parts[0] && parts[1]);
  return whole.map(([from, to]) => ({ source: from, target: to }));
}

function translateSoon() {
  showCount();
  menu.close();
  clearTimeout(timer);
  timer = setTimeout(translateNow, PAUSE);
}

/** Translate the text. A translation under way is given up. */
async function translateNow() {
  clearTimeout(timer);
  running?.abort();
  error.textContent = "";
  menu.close();
  if (!description || !text.value.trim()) {
    show({ text: "", words: [] });
    return;
  }
  if (description.limit && text.value.length > description.limit) {
    error.textContent = texts.tooLong(description.limit);
    return;
  }
  const request = { text: text.value, source: source.value, target: target.value, terms: readTerms() };
  await run((signal) => engine.translate(request, signal), show);
}

/** Run something that can be given up, and show its result or its error. */
async function run(work, finish) {
  const controller = (running = new AbortController());
  view.markOld();
  find("busy").classList.add("on");
  try {
    const result = await work(controller.signal);
    if (controller === running) finish(result);
  } catch (fault) {
    if (controller === running && !controller.signal.aborted) showFault(fault);
  }
  if (controller === running) find("busy").classList.remove("on");
}

function showFault(fault) {
  const needsKey = fault.status === 401 || fault.status === 403;
  if (needsKey) find("key-form").hidden = false;
  const known = fault.status === 429 || fault.status === 503 ? texts.busy : needsKey ? texts.keyWrong : fault.message;
  error.textContent = fault instanceof TypeError ? texts.offline : known;
  view.show({ text: "", words: [] }, texts);
  copy.hidden = true;
}

function show(result) {
  find("busy").classList.remove("on");
  view.show(result, texts);
  copy.hidden = !result.text;
  find("doubt-label").hidden = !result.words.some((word) => word.confidence !== null);
  note.textContent = result.detected ? texts.detected(nameLanguage(result.detected, texts)) : "";
}

/** Offer what else could be at the place of a word of the translation. */
async function offer(word) {
  const { text: whole } = view.result, line = whole.slice(0, word.start).split("\n").length - 1;
  const start = whole.lastIndexOf("\n", word.start - 1) + 1, prefix = whole.slice(start, word.start);
  const request = {
    text: text.value.split("\n")[line], prefix, target: target.value, terms: readTerms(),
    source: source.value === "auto" ? (view.result.detected ?? "auto") : source.value,
  };
  const controller = new AbortController();
  menu.open(word, texts, () => controller.abort());
  try {
    const found = await engine.alternatives(request, controller.signal);
    const choose = (chosen) => replaceLine(line, { ...request, prefix: prefix + chosen.word });
    menu.fill(found.filter((one) => one.text), prefix, texts, choose);
  } catch (fault) {
    if (!controller.signal.aborted) {
      menu.close();
      showFault(fault);
    }
  }
}

/** Translate a line again, with a beginning that was chosen. */
async function replaceLine(line, request) {
  running?.abort();
  const lines = text.value.split("\n"), before = view.result;
  const offset = lines.slice(0, line).join("\n").length + (line ? 1 : 0);
  await run(
    (signal) => engine.translate(request, signal),
    (found) => {
      const translated = before.text.split("\n"), start = translated.slice(0, line).join("\n").length + (line ? 1 : 0);
      const end = start + translated[line].length, moved = found.text.length - translated[line].length;
      const shift = ({ source: own, ...word }, by, bySource) => ({
        ...word, start: word.start + by, end: word.end + by, source: own?.map((place) => place + bySource) ?? null,
      });
      translated[line] = found.text;
      const words = [
        ...before.words.filter((word) => word.end <= start),
        ...found.words.map((word) => shift(word, start, offset)),
        ...before.words.filter((word) => word.start >= end).map((word) => shift(word, moved, 0)),
      ];
      show({ ...before, text: translated.join("\n"), words });
      view.focus(start + request.prefix.length - 1);
    },
  );
}

text.addEventListener("input", translateSoon);
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) translateNow();
});
document.addEventListener("selectionchange", () => {
  if (document.activeElement === text) view.linkSource(text.selectionStart);
});
source.addEventListener("change", changeLanguages);
target.addEventListener("change", changeLanguages);
terms.addEventListener("input", () => {
  remember(`terms ${source.value} ${target.value}`, terms.value);
  translateSoon();
});
clear.addEventListener("click", () => {
  text.value = "";
  translateSoon();
  text.focus();
});
swap.addEventListener("click", () => {
  const translation = view.result.text, from = source.value;
  source.value = target.value;
  showLanguages();
  target.value = from;
  if (translation) text.value = translation;
  changeLanguages();
  showCount();
});
copy.addEventListener("click", async () => {
  await navigator.clipboard.writeText(view.result.text);
  note.textContent = texts.copied;
  find("spoken").textContent = texts.copied;
});
find("doubt").addEventListener("change", (event) => view.markDoubts(event.target.checked));
find("theme").addEventListener("click", () => {
  const theme = localStorage.getItem("nmt-theme") ?? "auto";
  remember("theme", THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
  showTheme();
});
find("interface").addEventListener("click", () => {
  texts = chooseTexts(texts.code === "en" ? "de" : "en");
  remember("interface", texts.code);
  showTexts();
});
find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  engine.key = find("key").value.trim();
  find("key-form").hidden = true;
  translateNow();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
addEventListener("resize", showCount);
view.onChoose = offer;

showTexts();
find("loading").hidden = false;
try {
  description = await engine.start((loaded, total) => {
    find("progress").value = loaded / total;
  });
  find("key-form").hidden = !description.needsKey || Boolean(engine.key);
  find("glossary").hidden = !description.terms;
  acceptFiles(engine, description, () => ({ source: source.value, target: target.value }), () => texts);
  showLanguages();
  showCount();
  translateNow();
} catch (fault) {
  showFault(fault);
}
find("loading").hidden = true;
