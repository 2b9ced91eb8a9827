/** The texts of the page, in English and German. */

const TEXTS = {
  en: {
    title: "Translate",
    text: "Text",
    translation: "Translation",
    placeholder: "Type or paste text",
    sourceLanguage: "Source language",
    targetLanguage: "Target language",
    swap: "Swap languages",
    clear: "Clear",
    copy: "Copy",
    copied: "Copied",
    file: "Translate a file",
    doubt: "Mark doubtful words",
    glossary: "Glossary",
    glossaryHelp: "One term a line: source = target",
    words: "Words of the translation. Arrow keys move, Enter shows alternatives.",
    alternatives: "Alternatives",
    searching: "Searching…",
    none: "No alternatives",
    auto: "Detect language",
    detected: (name) => `Detected: ${name}`,
    loading: "Loading the model",
    count: (count, limit) => (limit ? `${count} of ${limit}` : `${count}`),
    tooLong: (limit) => `The text has more than ${limit} characters. Shorten it, or translate a file.`,
    busy: "The server is busy. Wait a moment, then change the text or press Ctrl+Enter.",
    offline: "The server does not answer. Check the connection, then press Ctrl+Enter.",
    keyWrong: "This server needs a valid API key.",
    key: "API key",
    keySave: "Use",
    uploading: "Sending",
    translating: "Translating",
    download: "Download the translation",
    aboutBrowser: "Translated on this device. No text leaves it.",
    aboutServer: "",
    theme: { auto: "Theme: automatic", light: "Theme: light", dark: "Theme: dark" },
    interface: "Deutsch",
    confidence: (percent) => `Confidence of the model: ${percent} %`,
  },
  de: {
    title: "Übersetzen",
    text: "Text",
    translation: "Übersetzung",
    placeholder: "Text eingeben oder einfügen",
    sourceLanguage: "Ausgangssprache",
    targetLanguage: "Zielsprache",
    swap: "Sprachen tauschen",
    clear: "Leeren",
    copy: "Kopieren",
    copied: "Kopiert",
    file: "Datei übersetzen",
    doubt: "Unsichere Wörter markieren",
    glossary: "Glossar",
    glossaryHelp: "Ein Begriff pro Zeile: Ausgangswort = Zielwort",
    words: "Wörter der Übersetzung. Pfeiltasten wechseln das Wort, die Eingabetaste zeigt Alternativen.",
    alternatives: "Alternativen",
    searching: "Suche …",
    none: "Keine Alternativen",
    auto: "Sprache erkennen",
    detected: (name) => `Erkannt: ${name}`,
    loading: "Das Modell wird geladen",
    count: (count, limit) => (limit ? `${count} von ${limit}` : `${count}`),
    tooLong: (limit) => `Der Text hat mehr als ${limit} Zeichen. Kürzen Sie ihn oder übersetzen Sie eine Datei.`,
    busy: "Der Server ist ausgelastet. Warten Sie kurz und drücken Sie dann Strg+Eingabe.",
    offline: "Der Server antwortet nicht. Prüfen Sie die Verbindung und drücken Sie dann Strg+Eingabe.",
    keyWrong: "Dieser Server verlangt einen gültigen API-Schlüssel.",
    key: "API-Schlüssel",
    keySave: "Verwenden",
    uploading: "Wird gesendet",
    translating: "Wird übersetzt",
    download: "Übersetzung herunterladen",
    aboutBrowser: "Auf diesem Gerät übersetzt. Kein Text verlässt es.",
    aboutServer: "",
    theme: { auto: "Design: automatisch", light: "Design: hell", dark: "Design: dunkel" },
    interface: "English",
    confidence: (percent) => `Konfidenz des Modells: ${percent} %`,
  },
};

/** Return the texts in a language, and its code. Without a code, that of the browser. */
export function chooseTexts(code = null) {
  const wanted = [code ?? "", ...navigator.languages].map((one) => one.slice(0, 2));
  const language = wanted.find((one) => TEXTS[one]) ?? "en";
  return { ...TEXTS[language], code: language };
}

/** Write the texts of elements: data-text is their content, data-label their name, data-placeholder what is shown. */
export function writeTexts(texts) {
  document.documentElement.lang = texts.code;
  document.title = texts.title;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = texts[element.dataset.text];
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", texts[element.dataset.label]);
  }
  for (const element of document.querySelectorAll("[data-placeholder]")) {
    element.placeholder = texts[element.dataset.placeholder];
  }
}

/** Return the name of a language in the language of the page. */
export function nameLanguage(code, texts) {
  try {
    const name = new Intl.DisplayNames([texts.code], { type: "language" }).of(code.replace("_", "-"));
    return name[0].toLocaleUpperCase(texts.code) + name.slice(1);
  } catch {
    return code;
  }
}
