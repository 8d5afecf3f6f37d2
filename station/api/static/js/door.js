// What the pages before log-in share: a form in the middle, in both languages.

import { neverFromAside, untilAnswered } from "./arrival.js";
import { h, say } from "./dom.js";
import { lang, loadWords, t, useLanguage } from "./words.js";

/**
 * Build a page with one form.
 * @param {{ title: string, explain: string, explainWith?: Record<string, string>, fields: () => any[], go: string, back?: string, submit: () => Promise<void> }} page
 *   message ids; `back` is the page to which one turns without doing it; `submit` throws what to say
 */
export async function openDoor(page) {
  neverFromAside();
  await untilAnswered(loadWords);
  const message = h("p", { class: "message bad", id: "message", role: "alert", hidden: true });
  /** @type {any} */
  let go;
  let busy = false;
  const build = () => {
    document.title = `${t(page.title)} – KT1`;
    go = h("button", { type: "submit", id: "go", disabled: busy }, t(page.go));
    const form = h(
      "form",
      {
        class: "door",
        onsubmit: async (/** @type {Event} */ event) => {
          event.preventDefault();
          if (busy) return;
          busy = go.disabled = true;
          message.hidden = true;
          try {
            await page.submit();
          } catch (error) {
            message.hidden = false;
            say(message, `⚠ ${error instanceof Error ? error.message : String(error)}`);
            busy = go.disabled = false;
            const password = document.querySelector("input[type=password]");
            if (password instanceof HTMLInputElement) password.select();
          }
        },
      },
      h("h1", {}, t(page.title)),
      h("p", {}, t(page.explain, page.explainWith)),
      ...page.fields(),
      message,
      go,
      page.back ? h("a", { href: page.back, id: "back" }, t("ui-back")) : null,
    );
    const other = h("button", { type: "button", id: "language", lang: lang() === "vi" ? "en" : "vi", onclick: change }, t("ui-other-language"));
    document.body.replaceChildren(h("header", {}, h("strong", { class: "brand" }, t("ui-brand")), h("span", { class: "gap" }), other), h("main", { id: "main" }, form));
    form.querySelector("input")?.focus();
  };
  const change = async () => {
    try {
      await useLanguage(lang() === "vi" ? "en" : "vi");
    } catch {
      message.hidden = false;
      say(message, `⚠ ${t("ui-no-answer")}`);
      return;
    }
    const typed = [...document.querySelectorAll("input")].map((input) => ({ id: input.id, value: input.value }));
    const focused = document.activeElement?.id;
    build();
    for (const { id, value } of typed) {
      const input = document.getElementById(id);
      if (input instanceof HTMLInputElement) input.value = value;
    }
    // Whoever went on typing meanwhile goes on typing there: the rest of a password must not stand in another field.
    if (focused) document.getElementById(focused)?.focus();
  };
  build();
}

/**
 * @param {string} id
 * @param {string} label message id
 * @param {Record<string, unknown>} more
 */
export function field(id, label, more) {
  return h("label", { for: id }, t(label), h("input", { id, name: id, required: true, maxlength: 128, ...more }));
}

/** @param {string} id */
export function valueOf(id) {
  const input = document.getElementById(id);
  return input instanceof HTMLInputElement ? input.value : "";
}
