/** Files that are chosen or dropped on the page. A server translates them. */

export function acceptFiles(engine, { files: endings }, readLanguages, readTexts) {
  if (!endings.length) return;
  const [input, label, area, list] = ["file", "file-label", "drop", "files"].map((id) => document.getElementById(id));
  label.hidden = false;
  input.accept = endings.join(",");

  const translate = async (file) => {
    const texts = readTexts(), line = document.createElement("p"), progress = document.createElement("progress");
    const status = document.createElement("span");
    progress.setAttribute("aria-label", file.name);
    progress.max = 1;
    status.setAttribute("role", "status");
    line.append(`${file.name}: `, status, progress);
    list.prepend(line);
    list.hidden = false;
    try {
      const done = await engine.translateFile(file, readLanguages(), (share) => {
        status.textContent = share === null ? texts.translating : texts.uploading;
        if (share === null) progress.removeAttribute("value");
        else progress.value = share;
      });
      const link = Object.assign(document.createElement("a"), { href: done.url, download: done.name });
      link.textContent = texts.download;
      status.replaceChildren(link);
    } catch (fault) {
      status.textContent = fault instanceof TypeError ? texts.offline : fault.message;
    }
    progress.remove();
  };

  input.addEventListener("change", () => {
    for (const file of input.files) translate(file);
    input.value = "";
  });
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    area.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    for (const file of event.dataTransfer.files) translate(file);
  });
}
