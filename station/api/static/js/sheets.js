// Sheets: one dialog at a time over a page. A change of language builds it anew and keeps what was typed; once closed, nothing of it is left.

import { h, say } from "./dom.js";
import { tell } from "./shell.js";
import { t } from "./words.js";

/** @typedef {{ id: string, build: () => unknown[] }} Sheet `id` is its element's; `build` makes what stands in it */

/** @type {Sheet | null} */
let shown = null;
/** @type {any} */
let box = null;
/** @type {string | null} */
let opener = null;
let focused = "";

/** @param {Sheet} sheet */
export function openSheet(sheet) {
  closeSheet();
  opener = document.activeElement?.getAttribute("data-key") ?? null;
  focused = "";
  shown = sheet;
  drawSheet();
}

/** Build the sheet that is open anew; called by the page each time it was built, too. */
export function drawSheet() {
  if (!shown) return;
  if (!box?.isConnected) {
    const made = h("dialog", {
      class: "help sheet",
      id: shown.id,
      "aria-labelledby": `${shown.id}-title`,
      onclose: () => finish(made),
      onfocusin: (/** @type {any} */ event) => {
        focused = event.target.id;
      },
    });
    box = made;
    document.getElementById("main")?.append(box);
  }
  const last = focused;
  box.replaceChildren(...shown.build());
  if (!box.open) box.showModal();
  const again = last && document.getElementById(last);
  if (again) again.focus({ preventScroll: true });
}

/** Close the sheet, if one is open. */
export function closeSheet() {
  if (!box) return;
  box.close();
  finish(box);
}

/** True while a sheet is open. */
export function sheetIsOpen() {
  return shown !== null;
}

/** @param {any} which the dialog that was closed; the event comes later than the next sheet may */
function finish(which) {
  which.replaceChildren();
  which.remove();
  if (which !== box) return;
  box = null;
  shown = null;
  // The button from which it was opened may have been built anew meanwhile.
  if (opener && (!document.activeElement || document.activeElement === document.body)) {
    const back = [...document.querySelectorAll("[data-key]")].find((element) => element.getAttribute("data-key") === opener);
    if (back instanceof HTMLElement) back.focus();
  }
}

/**
 * Open a form. It stays open, with what was typed, until it was done.
 * @param {{ id: string, title: () => string, fields: () => any[], go: string, submit: () => Promise<(() => unknown) | void> }} form
 *   `go` is a message id; `submit` throws what to say, and may return what comes after closing
 */
export function openForm(form) {
  let failure = "";
  let busy = false;
  /** @type {Sheet} */
  const sheet = {
    id: form.id,
    build: () => {
      const message = h("p", { class: "message bad", id: `${form.id}-message`, role: "alert", hidden: !failure }, `⚠ ${failure}`);
      const go = h("button", { type: "submit", id: `${form.id}-go`, disabled: busy }, t(form.go));
      const submit = async (/** @type {Event} */ event) => {
        event.preventDefault();
        if (busy) return;
        busy = true;
        go.disabled = true;
        failure = "";
        message.hidden = true;
        let after;
        try {
          after = await form.submit();
        } catch (error) {
          failure = error instanceof Error ? error.message : String(error);
        }
        busy = false;
        const open = shown === sheet;
        if (failure && open) drawSheet();
        else if (failure) tell(failure, true);
        else if (open) closeSheet();
        if (!failure) after?.();
      };
      return [
        h(
          "form",
          { class: "door", onsubmit: submit },
          h("h2", { id: `${form.id}-title` }, form.title()),
          ...form.fields(),
          message,
          h("div", { class: "lease" }, go, h("button", { type: "button", id: `${form.id}-close`, onclick: closeSheet }, t("ui-back"))),
        ),
      ];
    },
  };
  openSheet(sheet);
}

/**
 * Open a sheet with a secret that is told this once. It stands in no field, which a browser might remember, and goes with the sheet.
 * @param {{ id: string, title: () => string, secret: string | null, lost: string, explain: () => string[] }} told
 *   `secret` is null where the answer that held it was lost on the way, and `lost` the message id of what to do then
 */
export function tellOnce(told) {
  openSheet({
    id: told.id,
    build: () => {
      const close = h("button", { type: "button", id: `${told.id}-close`, onclick: closeSheet }, t("ui-close"));
      const title = h("h2", { id: `${told.id}-title` }, told.title());
      if (told.secret === null) return [h("div", { class: "door" }, title, h("p", { class: "finding", id: `${told.id}-lost` }, `▲ ${t(told.lost)}`), close)];
      const text = h("code", { class: "secret", id: `${told.id}-secret`, tabindex: "0" }, told.secret);
      const state = h("p", { id: `${told.id}-state`, role: "status" });
      const copy = async () => {
        try {
          await navigator.clipboard.writeText(String(told.secret));
          say(state, `✓ ${t("ui-copied")}`);
        } catch {
          getSelection()?.selectAllChildren(text);
          say(state, t("ui-copy-by-hand"));
        }
      };
      const explained = told.explain().map((line) => h("p", {}, line));
      return [h("div", { class: "door" }, title, text, h("div", { class: "lease" }, h("button", { type: "button", id: `${told.id}-copy`, autofocus: true, onclick: copy }, t("ui-copy")), close), state, ...explained)];
    },
  });
}

// Nor may the browser keep what stands in a sheet with a page that it puts aside.
addEventListener("pagehide", closeSheet);
