/** The engine of a server, through nmt's own API (/v1). */

const KEY = "nmt-key";
const MOST = 500; // texts in a request

export class ServerEngine {
  async start() {
    const [models, settings] = await Promise.all([this.get("v1/models"), this.get("frontend/settings")]);
    return {
      pairs: models.pairs.map(({ source, target }) => ({ source, target })),
      detects: models.models.some((model) => model.detects_languages),
      terms: true,
      files: settings.filesTranslation ? settings.supportedFilesFormat : [],
      limit: Math.max(0, settings.charLimit),
      needsKey: settings.keyRequired,
    };
  }

  get key() {
    return sessionStorage.getItem(KEY) ?? "";
  }

  set key(value) {
    sessionStorage.setItem(KEY, value);
  }

  async translate({ text, source, target, prefix, terms }, signal) {
    const lines = text.split("\n"), written = lines.filter((line) => line.trim()), results = [];
    for (let first = 0; first < written.length; first += MOST) {
      const body = {
        text: written.slice(first, first + MOST), source, target, details: true,
        ...(prefix && { prefix }), ...(terms?.length && { terms }),
      };
      results.push(...(await this.post("v1/translate", body, signal)).results);
    }
    const whole = { text: "", words: [], detected: source === "auto" ? results[0]?.source : undefined };
    let place = 0, next = 0;
    lines.forEach((line, index) => {
      if (index) whole.text += "\n";
      if (line.trim()) {
        const [one] = results[next++].translations;
        for (const word of findWords(one, line)) {
          const own = word.source?.map((character) => place + character) ?? null, offset = whole.text.length;
          whole.words.push({ ...word, start: offset + word.start, end: offset + word.end, source: own });
        }
        whole.text += one.text;
      }
      place += line.length + 1;
    });
    return whole;
  }

  async alternatives({ text, source, target, prefix }, signal) {
    const body = { text, prefix, target, ...(source !== "auto" && { source }) };
    return (await this.post("v1/alternatives", body, signal)).alternatives;
  }

  /** Translate a file. `report` gets the share that was uploaded, and null while the server translates. */
  translateFile(file, { source, target }, report) {
    const form = new FormData();
    form.append("file", file);
    form.append("source", source);
    form.append("target", target);
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", "translate_file");
      if (this.key) request.setRequestHeader("Authorization", `Bearer ${this.key}`);
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => report(event.loaded / event.total));
      request.upload.addEventListener("load", () => report(null));
      request.addEventListener("error", () => reject(new TypeError("network")));
      request.addEventListener("load", () => {
        const answer = request.response ?? {};
        if (request.status !== 200) {
          reject(new ServerError(request.status, answer.error ?? request.statusText));
          return;
        }
        // The address is absolute; behind a proxy, its path is what counts.
        const name = answer.translatedFileUrl.split("/").at(-1);
        resolve({ name: file.name, url: `download_file/${name}` });
      });
      request.send(form);
    });
  }

  get(path) {
    return this.ask(path, {});
  }

  post(path, body, signal) {
    const headers = { "Content-Type": "application/json" };
    return this.ask(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  }

  async ask(path, { headers = {}, ...options }) {
    const own = this.key ? { ...headers, Authorization: `Bearer ${this.key}` } : headers;
    const response = await fetch(path, { ...options, headers: own });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new ServerError(response.status, answer.error ?? response.statusText);
    return answer;
  }
}

export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Return the words of a translation of a line, from the tokens that the server reports, without confidences. */
function findWords({ text, tokens, source_tokens: sources, alignment, spans, words: known }, line) {
  const ranges = [...text.matchAll(/\S+/g)].map((match) => [match.index, match.index + match[0].length]);
  const offsets = countUnits(text); // the server counts code points
  const confidences = new Map((known ?? []).map(({ start, confidence }) => [offsets[start], confidence]));
  const words = ranges.map(([start, end]) => {
    return { start, end, confidence: confidences.get(start) ?? null, source: null, own: [] };
  });
  if (!spans?.length || spans.length !== tokens.length || !alignment?.length) return words;
  spans.forEach(([start, end], token) => {
    const word = words.find((one) => one.start < offsets[end] && offsets[start] < one.end);
    word?.own.push(token);
  });
  const places = [...line.matchAll(/\S+/g)].map((match) => [match.index, match.index + match[0].length]);
  let count = -1;
  const wordOf = sources.map((token) => (token.startsWith("▁") || count < 0 ? ++count : count));
  const located = count + 1 === places.length;
  return words.map(({ own, ...word }) => {
    const votes = own.map((token) => wordOf[alignment[token]]);
    const best = votes.toSorted((a, b) => votes.filter((v) => v === b).length - votes.filter((v) => v === a).length)[0];
    return { ...word, source: located && best !== undefined ? (places[best] ?? null) : null };
  });
}

/** Return the place in UTF-16 of each code point of a text, and of its end. */
function countUnits(text) {
  const places = [];
  let place = 0;
  for (const character of text) {
    places.push(place);
    place += character.length;
  }
  return [...places, place];
}
