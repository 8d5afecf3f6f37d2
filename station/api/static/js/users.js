// The page of users: who may come in, up to what, and the programs that may ask. For administrators; auditors look.

import { CallError, get, loadSession, may, patch, post, who } from "./calls.js";
import { h, keep, say } from "./dom.js";
import { SETTLE_MS, useKeys } from "./keys.js";
import { drawSheet, openForm, sheetIsOpen } from "./sheets.js";
import { acknowledge, attempt, openPage, switchLanguage, tell } from "./shell.js";
import { openAddingToken, tokenRow } from "./tokens.js";
import { clearanceText, openAdding, openChanging, tellLink } from "./user_form.js";
import { lang, momentOf, t, timeOf } from "./words.js";

const REFRESH_MS = 5000;
// A page that nobody looks at must not keep an administrator's session alive.
const AWAY_MS = 120000;

/** @type {any[]} */
let users = [];
/** @type {any[]} */
let tokens = [];
/** @type {string | null} */
let readAt = null;
let failure = "";
let asked = 0;
/** Which of the answers is on screen. */
let newest = 0;
/** Since when the rows stand where they stand. */
let listSince = 0;
let busy = false;
let lastInput = performance.now();
/** @type {Record<string, any>} */
let parts = {};

function build(/** @type {HTMLElement} */ main) {
  const changes = may("change-users");
  const standing = [
    ...(may("acknowledge-alarms") ? [{ name: "acknowledge", codes: ["F10", "F16"], text: t("ui-key-acknowledge"), act: acknowledge }] : []),
    { name: "language", codes: ["F8"], text: t("ui-key-language"), act: switchLanguage },
  ];
  main.className = "users-page";
  if (!may("see-users")) {
    main.append(h("h1", {}, t("ui-users")), h("p", { id: "users-refused" }, t("ui-users-refused")));
    useKeys(standing);
    return;
  }
  const add = (/** @type {string} */ id, /** @type {string} */ key, /** @type {() => void} */ act) =>
    changes ? h("button", { type: "button", id, "data-key": id, onclick: act }, "+ ", t(`ui-${id}`), " ", h("kbd", {}, key)) : null;
  parts = {
    state: h("div", { id: "users-state" }),
    users: h("div", { id: "users" }),
    tokens: h("div", { id: "tokens" }),
  };
  main.append(
    ...[
      h("h1", {}, t("ui-users")),
      parts.state,
      add("user-add", "F2", addUser),
      parts.users,
      h("h2", {}, t("ui-tokens")),
      h("p", { class: "quiet" }, t("ui-tokens-explained")),
      add("token-add", "F4", addToken),
      parts.tokens,
    ].filter(Boolean),
  );
  useKeys([
    ...(changes
      ? [
          { name: "up", codes: ["ArrowUp", "Numpad8"], text: t("ui-key-row-up"), act: () => step(-1) },
          { name: "down", codes: ["ArrowDown", "Numpad0"], text: t("ui-key-row-down"), act: () => step(1) },
          { name: "user-add", codes: ["F2", "Numpad1", "F13"], text: t("ui-user-add"), act: addUser },
          { name: "token-add", codes: ["F4", "Numpad2", "F14"], text: t("ui-token-add"), act: addToken },
        ]
      : []),
    ...standing,
  ]);
  show();
  drawSheet();
}

function addUser() {
  if (!sheetIsOpen()) openAdding(refresh);
}

function addToken() {
  if (!sheetIsOpen()) openAddingToken(refresh);
}

/** @param {number} by */
function step(by) {
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.findIndex((row) => row.closest("tr")?.contains(document.activeElement));
  const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
  if (next instanceof HTMLElement) next.focus();
}

function show() {
  if (!parts.users) return;
  keep(parts.state, [failure, readAt, lang()], () => {
    if (failure) return [h("p", { class: "finding", id: "users-failed" }, `⚠ ${readAt ? t("ui-list-old", { time: timeOf(readAt) }) : t("ui-list-failed")}: ${failure} `, h("button", { type: "button", id: "users-again", "data-key": "users-again", onclick: refresh }, t("ui-try-again")))];
    return [h("p", { class: "quiet", id: "users-read" }, readAt ? t("ui-users-read", { time: timeOf(readAt) }) : t("ui-loading"))];
  });
  const before = parts.users.dataset.shown;
  keep(parts.users, [users, readAt !== null, lang()], () => (readAt === null ? [] : [table(["ui-login", "ui-user-name", "ui-user-roles", "ui-user-clearance", "ui-user-state"], users.map(userRow))]));
  if (parts.users.dataset.shown !== before) listSince = performance.now();
  keep(parts.tokens, [tokens, readAt !== null, lang()], () => {
    if (readAt === null) return [];
    if (tokens.length === 0) return [h("p", { class: "quiet", id: "tokens-none" }, t("ui-tokens-none"))];
    return [table(["ui-token-name", "ui-user-clearance", "ui-user-state"], tokens.map((token) => tokenRow(token, refresh)))];
  });
}

/**
 * @param {string[]} columns message ids
 * @param {any[]} rows
 */
function table(columns, rows) {
  const heads = columns.map((column) => h("th", { scope: "col" }, t(column)));
  if (may("change-users")) heads.push(h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, t("ui-user-acts"))));
  return h("table", { class: "figures people" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows));
}

/** @param {any} user */
function userRow(user) {
  const cell = (/** @type {string} */ label, /** @type {unknown[]} */ ...children) => h("td", { "data-label": t(label) }, ...children);
  const roles = user.roles.map((/** @type {string} */ role) => t(`role-${role}`)).join(", ");
  const own = user.user_id === who().user_id;
  return h(
    "tr",
    { class: user.disabled ? "off" : null, "data-login": user.login },
    h("th", { scope: "row", class: "login" }, user.login, own ? h("span", { class: "quiet" }, ` (${t("ui-user-oneself")})`) : null),
    // A name in letters that run the other way turns round nothing but itself.
    cell("ui-user-name", h("bdi", {}, user.display_name)),
    cell("ui-user-roles", roles || `▲ ${t("ui-user-roles-none")}`),
    cell("ui-user-clearance", clearanceText(user.clearance)),
    cell("ui-user-state", h("div", {}, user.disabled ? `✕ ${t("ui-user-disabled")}` : `✓ ${t("ui-user-enabled")}`), h("div", { class: "quiet" }, t(user.has_password ? "ui-user-has-password" : "ui-user-has-no-password")), user.link_expires_at ? h("div", { class: "quiet" }, t("ui-user-link-waits", { time: momentOf(user.link_expires_at) })) : null),
    may("change-users") ? h("td", { class: "acts" }, ...acts(user)) : null,
  );
}

/** @param {any} user */
function acts(user) {
  const button = (/** @type {string} */ what, /** @type {(event: MouseEvent) => void} */ act, more = {}) =>
    h("button", { type: "button", "data-act": what, "data-key": `${what}-${user.user_id}`, "aria-label": `${t(`ui-act-${what}`)}: ${user.login}`, onclick: act, ...more }, t(`ui-act-${what}`));
  return [
    button("change", () => openChanging(user, (after, ended) => whenChanged(user, after, ended)), { "data-row": true }),
    user.disabled ? button("enable", aimed(() => enable(user))) : button("disable", () => openDisabling(user)),
    user.disabled ? null : button("link", aimed(() => makeLink(user))),
  ];
}

/**
 * What is done at once, without a form that names the person: a click that was meant for what stood there before must not hit it.
 * @param {() => void} act
 */
function aimed(act) {
  return (/** @type {MouseEvent} */ event) => {
    // A key presses the button that has the focus, wherever it stands by now.
    if (event.detail > 0 && performance.now() - listSince < SETTLE_MS) tell(t("ui-users-moved"), true);
    else act();
  };
}

/**
 * @param {any} user
 * @param {any} after
 * @param {boolean} ended
 */
async function whenChanged(user, after, ended) {
  tell(t(ended ? "ui-user-saved-ended" : "ui-user-saved", { login: user.login }));
  if (user.user_id === who().user_id) {
    const name = document.getElementById("who");
    if (name) say(name, after.display_name);
    await loadSession();
  }
  await refresh();
}

/** @param {any} user */
function openDisabling(user) {
  openForm({
    id: "user-disable",
    title: () => `${t("ui-act-disable")}: ${user.login}`,
    go: "ui-act-disable",
    fields: () => [h("p", {}, t("ui-user-disable-explained"))],
    submit: async () => {
      await patch(`/users/${encodeURIComponent(user.user_id)}`, { disabled: true }).finally(refresh);
    },
  });
}

/** @param {any} user */
async function enable(user) {
  await attempt(() => patch(`/users/${encodeURIComponent(user.user_id)}`, { disabled: false }));
  await refresh();
}

/** One at a time: the next one's sheet would take the place of a link that is told only once. @param {any} user */
async function makeLink(user) {
  if (busy) return;
  busy = true;
  await attempt(async () => tellLink(await post(`/users/${encodeURIComponent(user.user_id)}/password-link`)));
  busy = false;
  await refresh();
}

async function refresh() {
  asked += 1;
  const number = asked;
  try {
    const [people, programs] = await Promise.all([get("/users"), get("/tokens")]);
    // An answer that was overtaken is older than what is on screen.
    if (number < newest) return;
    newest = number;
    users = people.items;
    tokens = programs.items;
    readAt = new Date().toISOString();
    failure = "";
  } catch (error) {
    if (number < newest) return;
    newest = number;
    failure = error instanceof Error ? error.message : String(error);
    if (error instanceof CallError && error.code === "not-permitted") {
      users = [];
      tokens = [];
      readAt = null;
    }
  }
  show();
}

await openPage({ title: "ui-users", current: "users", build });
if (may("see-users")) {
  await refresh();
  const isAway = () => document.hidden || performance.now() - lastInput > AWAY_MS;
  for (const kind of ["keydown", "pointerdown", "pointermove"]) {
    document.addEventListener(kind, () => {
      const wasAway = isAway();
      lastInput = performance.now();
      if (wasAway) refresh();
    });
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh();
  });
  setInterval(() => {
    if (!isAway()) refresh();
  }, REFRESH_MS);
}
