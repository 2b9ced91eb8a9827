// Shows the OpenAPI document of the server. Text is set with textContent, never as markup.
"use strict";

const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

const code = (text) => make("code", { textContent: text });

function resolve(schema, api) {
  return schema.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema;
}

function describeType(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(describeType).join(" or ");
  if (schema.allOf) return schema.allOf.map(describeType).join(" and ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.type === "array") return `list of ${describeType(schema.items)}`;
  return schema.type ?? "any";
}

function listFields(schema, api) {
  const record = resolve(schema, api);
  if (record.type === "array") return listFields(record.items, api);
  const parts = record.allOf ? record.allOf.map((part) => resolve(part, api)) : [record];
  return parts.flatMap((part) => Object.entries(part.properties ?? {}).map(([name, value]) => ({
    name, schema: value, text: value.description ?? "", required: (part.required ?? []).includes(name),
  })));
}

function makeTable(caption, rows) {
  const body = rows.map((row) => make("tr", {},
    make("td", {}, code(row.name), row.required ? " *" : ""),
    make("td", { textContent: describeType(row.schema) }),
    make("td", { textContent: row.text })));
  return make("table", {}, make("caption", { textContent: caption, hidden: true }), make("thead", {},
    make("tr", {}, ...["Name", "Type", "Meaning"].map((textContent) => make("th", { textContent, scope: "col" })))),
  make("tbody", {}, ...body));
}

function makeTrial(path, method, operation) {
  const body = operation.requestBody;
  const query = (operation.parameters ?? []).map((one) => one.name);
  const field = make("textarea", { rows: 4, spellcheck: false, ariaLabel: body ? "Body" : "Query" });
  field.value = body ? '{"text": "Hello."}' : query.map((name) => `${name}=`).join("&");
  if (body && operation.tags[0] === "LibreTranslate") field.value = '{"q": "Hello.", "source": "en", "target": "de"}';
  if (body && operation.tags[0] === "DeepL") field.value = '{"text": ["Hello."], "target_lang": "DE"}';
  const answer = make("pre", { hidden: true, tabIndex: 0, ariaLive: "polite" });
  const send = make("button", { type: "button", textContent: "Send" });
  send.addEventListener("click", async () => {
    answer.hidden = false;
    answer.textContent = "…";
    const key = document.getElementById("key").value;
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    if (body) headers["Content-Type"] = "application/json";
    const address = path.slice(1) + (body || !field.value ? "" : `?${field.value}`);
    try {
      const response = await fetch(address, { method, headers, body: body ? field.value : undefined });
      answer.textContent = `${response.status}\n${await response.text()}`;
    } catch (error) {
      answer.textContent = String(error);
    }
  });
  return make("div", {}, make("h3", { textContent: "Try it" }), field, send, answer);
}

function makeRoute(path, method, operation, api) {
  const inside = make("div", { className: "inside" });
  const query = (operation.parameters ?? []).map((one) => ({ ...one, text: one.description ?? "" }));
  if (query.length) inside.append(makeTable("Parameters", query));
  const content = Object.values(operation.requestBody?.content ?? {})[0];
  if (content) inside.append(make("h3", { textContent: "Body" }), makeTable("Body", listFields(content.schema, api)));
  inside.append(make("h3", { textContent: "Responses" }));
  for (const [status, response] of Object.entries(operation.responses)) {
    const schema = Object.values(response.content ?? {})[0]?.schema;
    inside.append(make("p", {}, code(status), ` ${response.description}`));
    const fields = schema && status < 300 ? listFields(schema, api) : [];
    if (fields.length) inside.append(makeTable(`Response ${status}`, fields));
  }
  if (!path.includes("{")) inside.append(makeTrial(path, method.toUpperCase(), operation));
  return make("details", {}, make("summary", {},
    make("span", { className: "method", textContent: method.toUpperCase() }), code(path), ` ${operation.summary}`), inside);
}

async function show() {
  const api = await (await fetch("openapi.json")).json();
  document.getElementById("about").textContent = api.info.description;
  const main = document.getElementById("routes");
  main.replaceChildren();
  for (const tag of api.tags) {
    main.append(make("h2", { textContent: tag.name }), make("p", { textContent: tag.description }));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags.includes(tag.name)) main.append(makeRoute(path, method, operation, api));
      }
    }
  }
}

show();
