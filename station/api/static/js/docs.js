// The description of the interface, readable without any other site.

import { untilAnswered } from "./arrival.js";
import { h } from "./dom.js";
import { useKeys } from "./keys.js";
import { openPage, switchLanguage } from "./shell.js";
import { t, TIMEOUT_MS } from "./words.js";

const api = await untilAnswered(async () => {
  const answer = await fetch("/openapi.json", { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok) throw new Error(`interface: ${answer.status}`);
  return answer.json();
});

/** @param {any} schema */
function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return String(schema.$ref).split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((/** @type {unknown} */ each) => JSON.stringify(each)).join(" | ");
  if (schema.type === "array") return `[${typeOf(schema.items) || "…"}]`;
  return [schema.type, schema.format, schema.pattern].filter(Boolean).join(" ");
}

/**
 * @param {string} path
 * @param {string} method
 * @param {any} operation
 */
function operationParts(path, method, operation) {
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const answers = Object.entries(operation.responses ?? {}).map(([status, response]) => {
    const content = Object.values(/** @type {any} */ (response).content ?? {});
    return `${status} ${content.map((each) => typeOf(/** @type {any} */ (each).schema)).join(" ")}`;
  });
  return h(
    "details",
    { class: "operation" },
    h("summary", {}, h("code", {}, `${method.toUpperCase()} ${path}`), " ", operation.summary ?? ""),
    h("p", { class: "description" }, operation.description ?? ""),
    h("ul", {}, ...(operation.parameters ?? []).map((/** @type {any} */ each) => h("li", {}, h("code", {}, each.name), ` (${each.in}${each.required ? `, ${t("ui-docs-required")}` : ""}) ${typeOf(each.schema)} ${each.description ?? ""}`))),
    body ? h("p", {}, t("ui-docs-body"), " ", h("code", {}, typeOf(body))) : null,
    h("p", {}, t("ui-docs-answers"), " ", h("code", {}, answers.join("; "))),
  );
}

/**
 * @param {string} name
 * @param {any} schema
 */
function schemaParts(name, schema) {
  return h(
    "details",
    { class: "operation" },
    h("summary", {}, h("code", {}, name)),
    h("p", { class: "description" }, schema.description ?? ""),
    h("ul", {}, ...Object.entries(schema.properties ?? {}).map(([member, each]) => h("li", {}, h("code", {}, member), ` ${typeOf(each)} ${/** @type {any} */ (each).description ?? ""}`))),
  );
}

await openPage({
  title: "ui-docs",
  current: "docs",
  build: (main) => {
    main.className = "docs-page";
    useKeys([{ name: "language", codes: ["F8"], text: t("ui-key-language"), act: switchLanguage }]);
    const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.entries(/** @type {any} */ (methods)).map(([method, operation]) => operationParts(path, method, operation)),
    );
    main.append(
      h("h1", {}, `${api.info.title} ${api.info.version}`),
      h("p", {}, h("a", { href: "/openapi.json" }, "/openapi.json")),
      ...operations,
      h("h2", {}, t("ui-docs-shapes")),
      ...Object.entries(api.components?.schemas ?? {}).map(([name, schema]) => schemaParts(name, schema)),
    );
  },
});
