// The form for a person: to be added, or changed. What is typed stays when the person was changed by somebody else meanwhile.

import { get, patch, post } from "./calls.js";
import { h } from "./dom.js";
import { openForm, tellOnce } from "./sheets.js";
import { momentOf, t } from "./words.js";

const ROLES = ["operator", "reviewer", "supervisor", "technician", "auditor", "administrator"];
const CLEARANCES = ["none", "C", "B", "A"];
const HERE_ALONE = ["127.0.0.1", "localhost", "[::1]"];

/** @typedef {{ login: string, name: string, roles: Set<string>, clearance: string }} Draft */

/** @param {string | null} level */
export function clearanceText(level) {
  return level ? t(`secrecy-${level}`) : t("ui-clearance-none");
}

/**
 * Choose up to which level somebody may see.
 * @param {string} id
 * @param {{ clearance: string }} draft
 */
export function clearanceField(id, draft) {
  const options = CLEARANCES.map((level) => h("option", { value: level, selected: level === draft.clearance }, clearanceText(level === "none" ? null : level)));
  const changed = (/** @type {any} */ event) => {
    draft.clearance = event.target.value;
  };
  return h("label", { for: id }, t("ui-user-clearance"), h("select", { id, onchange: changed }, ...options));
}

/**
 * @param {string} id
 * @param {string} label message id
 * @param {string} value
 * @param {(value: string) => void} typed
 * @param {Record<string, unknown>} more
 */
export function textField(id, label, value, typed, more) {
  const input = h("input", { id, type: "text", value, autocomplete: "off", spellcheck: "false", oninput: () => typed(input.value), ...more });
  return h("label", { for: id }, t(label), input);
}

/** @param {any} user as the interface tells it */
function draftOf(user) {
  return { login: user.login, name: user.display_name, roles: new Set(user.roles), clearance: user.clearance ?? "none" };
}

/** @param {Draft} draft */
function fields(draft) {
  const role = (/** @type {string} */ name) => {
    const box = h("input", {
      type: "checkbox",
      id: `user-role-${name}`,
      checked: draft.roles.has(name),
      onchange: () => (box.checked ? draft.roles.add(name) : draft.roles.delete(name)),
    });
    return h("label", { class: "tick", for: box.id }, box, h("span", {}, h("strong", {}, t(`role-${name}`)), " ", h("span", { class: "quiet" }, t(`ui-role-may-${name}`))));
  };
  const typed = (/** @type {string} */ name) => {
    draft.name = name;
  };
  return [
    textField("user-name", "ui-user-name", draft.name, typed, { maxlength: 80, dir: "auto" }),
    h("fieldset", { class: "ticks" }, h("legend", {}, t("ui-user-roles")), ...ROLES.map(role)),
    clearanceField("user-clearance", draft),
    h("p", { class: "quiet" }, t("ui-clearance-explained")),
  ];
}

/** @param {() => void} changed the list is to be read again */
export function openAdding(changed) {
  /** @type {Draft} */
  const draft = { login: "", name: "", roles: new Set(), clearance: "none" };
  const typed = (/** @type {string} */ login) => {
    draft.login = login;
  };
  openForm({
    id: "user-form",
    title: () => t("ui-user-add"),
    go: "ui-user-add",
    fields: () => [
      textField("user-login", "ui-login", draft.login, typed, { required: true, maxlength: 64, autocapitalize: "none", "aria-describedby": "user-login-rule" }),
      h("p", { class: "quiet", id: "user-login-rule" }, t("ui-login-rule")),
      ...fields(draft),
    ],
    submit: async () => {
      const body = { login: draft.login, display_name: draft.name, roles: [...draft.roles], clearance: draft.clearance === "none" ? null : draft.clearance };
      const made = await post("/users", body).finally(changed);
      return () => tellLink(made);
    },
  });
}

/**
 * @param {any} user as the list tells it
 * @param {(after: any, ended: boolean) => void} changed `ended`: whoever was logged in as that user is not any more
 */
export function openChanging(user, changed) {
  let base = draftOf(user);
  const draft = draftOf(user);
  let news = false;
  openForm({
    id: "user-form",
    title: () => t("ui-user-change", { login: user.login }),
    go: "ui-user-save",
    fields: () => [news ? h("p", { class: "finding", id: "user-news" }, `▲ ${t("ui-user-changed-meanwhile")}`) : null, ...fields(draft)].filter(Boolean),
    submit: async () => {
      const path = `/users/${encodeURIComponent(user.user_id)}`;
      const now = draftOf(await get(path));
      news = differ(base, now);
      if (news) {
        // What was not touched here becomes what it is now: nobody undoes unseen what somebody else has just done.
        follow(draft, base, now);
        base = now;
        throw new Error(t("ui-user-look-again"));
      }
      const body = changes(base, draft);
      if (Object.keys(body).length === 0) return undefined;
      const after = await patch(path, body);
      return () => changed(after, "roles" in body || "clearance" in body);
    },
  });
}

/** @param {Draft} one @param {Draft} other */
function differ(one, other) {
  return Object.keys(changes(one, other)).length > 0;
}

/** What makes the one of the other, as the interface takes it. @param {Draft} before @param {Draft} after */
function changes(before, after) {
  /** @type {Record<string, unknown>} */
  const body = {};
  if (after.name !== before.name) body.display_name = after.name;
  if (ROLES.some((role) => after.roles.has(role) !== before.roles.has(role))) body.roles = [...after.roles];
  if (after.clearance !== before.clearance) body.clearance = after.clearance === "none" ? null : after.clearance;
  return body;
}

/** @param {Draft} draft @param {Draft} base @param {Draft} now */
function follow(draft, base, now) {
  if (draft.name === base.name) draft.name = now.name;
  if (draft.clearance === base.clearance) draft.clearance = now.clearance;
  for (const role of ROLES) {
    if (draft.roles.has(role) !== base.roles.has(role)) continue;
    if (now.roles.has(role)) draft.roles.add(role);
    else draft.roles.delete(role);
  }
}

/**
 * Show the link by which a person chooses a password.
 * @param {any} made as the interface tells it
 */
export function tellLink(made) {
  tellOnce({
    id: "link",
    title: () => t("ui-link-of", { login: made.login }),
    secret: made.link === null ? null : location.origin + made.link,
    lost: "ui-link-lost",
    explain: () => [
      t("ui-link-until", { time: momentOf(made.link_expires_at) }),
      t("ui-link-hand-over"),
      ...(HERE_ALONE.includes(location.hostname) ? [t("ui-link-here-alone")] : []),
      t("ui-link-told-once"),
    ],
  });
}
