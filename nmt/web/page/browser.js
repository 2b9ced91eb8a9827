/** The engine in the browser. It runs in a worker, so that typing never waits. */

export class BrowserEngine {
  async start(report) {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.waiting = new Map();
    this.next = 0;
    this.worker.addEventListener("message", ({ data: { id, progress, result, error } }) => {
      if (progress) return report(...progress);
      const { resolve, reject } = this.waiting.get(id) ?? {};
      this.waiting.delete(id);
      return error ? reject?.(new Error(error)) : resolve?.(result);
    });
    this.worker.addEventListener("error", (event) => {
      for (const { reject } of this.waiting.values()) reject(new Error(event.message || "the worker has stopped"));
    });
    const description = await this.ask("start");
    if ("serviceWorker" in navigator) {
      navigator.serviceWorker.register("service-worker.js").catch(() => {}); // only secure addresses have it
    }
    return { ...description, detects: false, terms: false, files: [], limit: 0, needsKey: false };
  }

  translate({ text, target, prefix }, signal) {
    return this.ask("translate", [text, { to: target, prefix }], signal);
  }

  alternatives({ text, target, prefix }, signal) {
    return this.ask("alternatives", [text, prefix, { to: target }], signal);
  }

  ask(method, values = [], signal = null) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, method, values });
      signal?.addEventListener("abort", () => {
        this.worker.postMessage({ abort: id });
        this.waiting.delete(id);
        reject(signal.reason);
      });
    });
  }
}
