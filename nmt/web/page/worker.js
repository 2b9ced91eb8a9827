/** The worker of the engine in the browser: loads the model and answers one request at a time. */

import { load } from "../engine/nmt.js";

const aborted = new Set();
let translator = null;

const METHODS = {
  async start() {
    translator = await load(undefined, (loaded, total) => self.postMessage({ progress: [loaded, total] }));
    const { source_languages: sources, target_languages: targets } = translator.data;
    const pairs = sources.flatMap((source) => targets.map((target) => ({ source, target })));
    return { pairs: pairs.filter(({ source, target }) => source !== target) };
  },
  translate: (pause, text, options) => translator.translate(text, options, pause),
  alternatives: (pause, line, prefix, options) => translator.alternatives(line, prefix, options, pause),
};

self.addEventListener("message", async ({ data: { id, method, values, abort } }) => {
  if (abort !== undefined) {
    aborted.add(abort);
    return;
  }
  /** Let messages in, and end work that is no longer wanted. */
  const pause = async () => {
    await new Promise((resolve) => setTimeout(resolve));
    if (aborted.has(id)) throw new Error("aborted");
  };
  try {
    self.postMessage({ id, result: await METHODS[method](pause, ...values) });
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
  aborted.delete(id);
});
