// Programs that may ask the station by a token of their own: the list, a new one, taking one back.

import { may, post } from "./calls.js";
import { h } from "./dom.js";
import { openForm, tellOnce } from "./sheets.js";
import { t } from "./words.js";
import { clearanceField, clearanceText, textField } from "./user_form.js";

/**
 * @param {any} token
 * @param {() => void} changed the list is to be read again
 */
export function tokenRow(token, changed) {
  const cell = (/** @type {string} */ label, /** @type {unknown[]} */ ...children) => h("td", { "data-label": t(label) }, ...children);
  const key = `revoke-${token.token_id}`;
  return h(
    "tr",
    { class: token.revoked ? "off" : null, "data-token": token.name },
    h("th", { scope: "row", class: "login" }, token.name),
    cell("ui-user-clearance", clearanceText(token.clearance)),
    cell("ui-user-state", token.revoked ? `✕ ${t("ui-token-revoked")}` : `✓ ${t("ui-token-in-use")}`),
    may("change-users")
      ? h("td", { class: "acts" }, token.revoked ? null : h("button", { type: "button", "data-key": key, "data-row": true, "aria-label": `${t("ui-token-revoke")}: ${token.name}`, onclick: () => openRevoking(token, changed) }, t("ui-token-revoke")))
      : null,
  );
}

/** @param {() => void} changed */
export function openAddingToken(changed) {
  const draft = { name: "", clearance: "none" };
  const typed = (/** @type {string} */ name) => {
    draft.name = name;
  };
  openForm({
    id: "token-form",
    title: () => t("ui-token-add"),
    go: "ui-token-add",
    fields: () => [
      textField("token-name", "ui-token-name", draft.name, typed, { required: true, maxlength: 64, autocapitalize: "none", "aria-describedby": "token-name-rule" }),
      h("p", { class: "quiet", id: "token-name-rule" }, t("ui-login-rule")),
      clearanceField("token-clearance", draft),
      h("p", { class: "quiet" }, t("ui-token-clearance-explained")),
    ],
    submit: async () => {
      const made = await post("/tokens", { name: draft.name, clearance: draft.clearance === "none" ? null : draft.clearance }).finally(changed);
      return () =>
        tellOnce({
          id: "token",
          title: () => t("ui-token-of", { name: made.name }),
          secret: made.token,
          lost: "ui-token-lost",
          explain: () => [t("ui-token-hand-over"), t("ui-token-told-once")],
        });
    },
  });
}

/**
 * @param {any} token
 * @param {() => void} changed
 */
function openRevoking(token, changed) {
  openForm({
    id: "token-revoke",
    title: () => `${t("ui-token-revoke")}: ${token.name}`,
    go: "ui-token-revoke",
    fields: () => [h("p", {}, t("ui-token-revoke-explained"))],
    submit: async () => {
      await post(`/tokens/${encodeURIComponent(token.token_id)}/revoke`).finally(changed);
    },
  });
}
