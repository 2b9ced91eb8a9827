/**
 * The engines that can stand behind the page. Both have this interface:
 *
 * @typedef {object} Engine
 * @property {(report: (loaded: number, total: number) => void) => Promise<Description>} start
 * @property {(request: Request, signal: AbortSignal) => Promise<Translation>} translate
 * @property {(request: Request, signal: AbortSignal) => Promise<{word: string, probability: number, text: string}[]>}
 *     alternatives the words that can follow `prefix` in a translation of a line
 * @property {(file: File, request: Request, report: (share: ?number) => void) => Promise<{name: string, url: string}>}
 *     [translateFile]
 *
 * @typedef {object} Description
 * @property {{source: string, target: string}[]} pairs
 * @property {boolean} detects whether "auto" is a source language
 * @property {boolean} terms whether the engine knows terms
 * @property {string[]} files the endings of files that the engine translates
 * @property {number} limit the most characters of a text, or 0
 * @property {boolean} needsKey
 *
 * @typedef {object} Request
 * @property {string} text
 * @property {string} source a language, or "auto"
 * @property {string} target
 * @property {string} [prefix] with which the translation of a line begins
 * @property {{source: string, target: string}[]} [terms]
 *
 * @typedef {object} Translation
 * @property {string} text
 * @property {Word[]} words
 * @property {string} [detected] the language, if it was detected
 *
 * @typedef {object} Word
 * @property {number} start
 * @property {number} end where the word stands in the translation
 * @property {?number} confidence
 * @property {?[number, number]} source where the aligned word of the source stands
 */

import { BrowserEngine } from "./browser.js";
import { ServerEngine } from "./server.js";

/** Return the engine that the page names. An exported page has the engine in the browser. */
export function chooseEngine() {
  const name = document.querySelector('meta[name="engine"]').content;
  return name === "browser" ? new BrowserEngine() : new ServerEngine();
}
