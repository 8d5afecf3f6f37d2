// What every page has: heading, language, who is logged in, alarm bar, old-data banner, messages, help, confirmation.

import { neverFromAside, untilAnswered } from "./arrival.js";
import { get, leave, loadSession, may, post, renewSession, useConfirmation, who } from "./calls.js";
import { h, keep, say } from "./dom.js";
import { allKeys, SETTLE_MS, useHelp } from "./keys.js";
import { oneAtATime, whileSeen } from "./pace.js";
import { lang, loadWords, said, t, timeOf, useLanguage } from "./words.js";

const REFRESH_MS = 5000;
const REST_MS = 30_000;

const parts = {
  alarms: h("section", { class: "alarms", id: "alarms", "aria-live": "assertive" }),
  stale: h("div", { class: "stale-banner", id: "stale", role: "alert", hidden: true }),
  rest: h("div", { class: "message", id: "rest", role: "status", hidden: true }),
  message: h("div", { class: "message", id: "message", role: "status", hidden: true }),
  help: h("dialog", { class: "help", id: "help" }),
  settling: h("dialog", { class: "help", id: "settling" }),
  confirm: h("dialog", { class: "help", id: "confirm" }),
  main: h("main", { id: "main" }),
};

/** The most urgent alarm, if there is one, and how many there are. @type {{ items: any[], present: number, unacknowledged: number }} */
let alarms = { items: [], present: 0, unacknowledged: 0 };
let alarmsKnown = false;
/** The alarm in the bar, while it is known. @type {any} */
let shown = null;
/** It has stood there for long enough to be seen. */
let settled = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let settling;
let acknowledging = false;
let switching = false;
/** The password is being asked for. @type {Promise<boolean> | null} */
let asking = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let messageTimer;
/** @type {() => void} */
let rebuildPage = () => {};

/**
 * Build the frame of a page and keep its alarm bar up to date.
 * @param {{ title: string, current: string, build: (main: HTMLElement) => void }} page `title` is a message id
 */
export async function openPage(page) {
  neverFromAside();
  await untilAnswered(loadWords);
  await untilAnswered(loadSession);
  useConfirmation(askPassword);
  rebuildPage = () => {
    document.title = `${t(page.title)} – KT1`;
    const dialogs = [parts.help, parts.settling, parts.confirm];
    // A dialog that leaves the page, for however short, would stay open and out of reach.
    for (const child of [...document.body.children]) if (!dialogs.includes(child)) child.remove();
    document.body.prepend(h("a", { class: "skip", href: "#main" }, t("ui-skip")), header(page.current), parts.stale, parts.alarms, parts.rest, parts.message, parts.main);
    document.body.append(...dialogs.filter((dialog) => !dialog.isConnected));
    say(parts.stale, t("ui-stale"));
    parts.main.replaceChildren();
    page.build(parts.main);
    delete parts.alarms.dataset.shown;
    showAlarms();
    showRest();
  };
  useHelp(openHelp);
  rebuildPage();
  // Before the first answer: a page whose first question hangs goes on asking.
  whileSeen(REFRESH_MS, refreshAlarms);
  if (may("see-scans")) setInterval(refreshSession, REST_MS);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    settle();
    refreshSession();
  });
  // Nobody waits for that answer: what the page shows next is not held up by it.
  refreshAlarms();
}

/** @param {string} current */
function header(current) {
  const link = (/** @type {string} */ name, /** @type {string} */ path) =>
    h("a", { href: path, "aria-current": name === current ? "page" : null }, t(`ui-nav-${name}`));
  return h(
    "header",
    {},
    h("strong", { class: "brand" }, t("ui-brand")),
    h("nav", { "aria-label": t("ui-nav") }, link("start", "/"), may("see-reviews") ? link("review", "/review") : null, may("see-reports") ? link("reports", "/reports") : null, may("see-audit") ? link("audit", "/audit") : null, may("see-users") ? link("users", "/users") : null),
    h("span", { class: "gap" }),
    h("a", { class: "person", id: "who", href: "/password", title: `${who().roles.map((/** @type {string} */ role) => t(`role-${role}`)).join(", ")} – ${t("ui-change-password")}` }, who().display_name),
    h("button", { type: "button", id: "log-out", onclick: () => attempt(leave) }, t("ui-log-out")),
    h("button", { type: "button", id: "language", lang: lang() === "vi" ? "en" : "vi", onclick: switchLanguage }, t("ui-other-language")),
    h("button", { type: "button", id: "help-button", onclick: openHelp, "aria-label": t("ui-help") }, "?"),
  );
}

/** Change to the other language without losing what is on screen. */
export async function switchLanguage() {
  // Nobody's words change while they write the password or a note.
  if (switching || parts.confirm.open || parts.settling.open) return;
  switching = true;
  try {
    await useLanguage(lang() === "vi" ? "en" : "vi");
    parts.help.close();
    const name = document.activeElement?.id || document.activeElement?.getAttribute("data-key");
    rebuildPage();
    // Whoever went on typing meanwhile goes on typing there.
    const again = name && (document.getElementById(name) ?? document.querySelector(`[data-key="${CSS.escape(name)}"]`));
    if (again instanceof HTMLElement) again.focus();
  } catch {
    tell(t("ui-no-answer"), true);
  }
  switching = false;
}

/** Ask for the password once more, once for all who need it now; true when the station took it. */
function askPassword() {
  asking ??= confirmed().finally(() => {
    asking = null;
  });
  return asking;
}

/** @returns {Promise<boolean>} */
function confirmed() {
  return new Promise((/** @type {(done: boolean) => void} */ resolve) => {
    const password = h("input", { type: "password", id: "confirm-password", autocomplete: "current-password", required: true, maxlength: 128 });
    const wrong = h("p", { class: "message bad", id: "confirm-message", role: "alert", hidden: true });
    const go = h("button", { type: "submit", id: "confirm-go" }, t("ui-confirm"));
    let done = false;
    const form = h(
      "form",
      {
        class: "door",
        onsubmit: async (/** @type {Event} */ event) => {
          event.preventDefault();
          // Each one counts as a try.
          if (go.disabled) return;
          go.disabled = true;
          try {
            await post("/session/step-up", { password: password.value });
            done = true;
            // It may have been closed, and opened for something else, meanwhile.
            if (form.isConnected) parts.confirm.close();
          } catch (error) {
            wrong.hidden = false;
            say(wrong, `⚠ ${error instanceof Error ? error.message : String(error)}`);
            password.select();
          }
          go.disabled = false;
        },
      },
      h("h2", {}, t("ui-confirm")),
      h("label", { for: "confirm-password" }, t("ui-confirm-explained", { person: who().display_name }), password),
      wrong,
      h("div", { class: "lease" }, go, h("button", { type: "button", onclick: () => parts.confirm.close() }, t("ui-close"))),
    );
    parts.confirm.replaceChildren(form);
    parts.confirm.addEventListener("close", () => resolve(done), { once: true });
    parts.confirm.showModal();
    password.focus();
  });
}

function openHelp() {
  if (parts.help.open) {
    parts.help.close();
    return;
  }
  parts.help.replaceChildren(
    h("h2", {}, t("ui-help")),
    h(
      "table",
      {},
      h("tbody", {}, ...allKeys().map((key) => h("tr", {}, h("td", {}, ...key.codes.map((code) => h("kbd", {}, code))), h("td", {}, key.text))), h("tr", {}, h("td", {}, h("kbd", {}, "?")), h("td", {}, t("ui-help")))),
    ),
    h("button", { type: "button", onclick: () => parts.help.close() }, t("ui-close")),
  );
  parts.help.showModal();
}

/**
 * Say something for a few seconds.
 * @param {string} text
 * @param {boolean} [bad]
 */
export function tell(text, bad = false) {
  clearTimeout(messageTimer);
  parts.message.hidden = false;
  parts.message.className = bad ? "message bad" : "message";
  say(parts.message, bad ? `⚠ ${text}` : text);
  messageTimer = setTimeout(() => {
    parts.message.hidden = true;
  }, 6000);
}

/**
 * Run something that people asked for and say what went wrong.
 * @param {() => Promise<unknown>} work
 */
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error), true);
    return false;
  }
}

/** @param {boolean} stale */
export function showStale(stale) {
  parts.stale.hidden = !stale;
  document.body.classList.toggle("stale", stale);
}

/** True while what is on screen may be old. */
export function isStale() {
  return document.body.classList.contains("stale");
}

/** Ask again who is logged in, and for how long they have looked at pictures. */
const refreshSession = oneAtATime(async () => {
  try {
    await renewSession();
    showRest();
  } catch {
    // What was shown stays: that the station is out of reach is told elsewhere.
  }
});

function showRest() {
  const { rest_due, viewing_min } = who();
  parts.rest.hidden = !rest_due;
  say(parts.rest, rest_due ? `⏸ ${t("ui-rest-due", { minutes: viewing_min })}` : "");
}

/** Read the alarms again. */
export const refreshAlarms = oneAtATime(async () => {
  if (!may("see-alarms")) return;
  try {
    alarms = await get("/alarms?limit=1");
    alarmsKnown = true;
  } catch {
    alarmsKnown = false;
  }
  showAlarms();
});

function showAlarms() {
  const alarm = alarms.items[0];
  const before = shown;
  shown = alarmsKnown ? alarm ?? null : null;
  if (shown?.alarm_id !== before?.alarm_id) settle();
  // To whoever may not see alarms, that they are not read is no news.
  parts.alarms.hidden = !may("see-alarms");
  parts.alarms.dataset.level = !alarmsKnown ? "unknown" : alarm && !alarm.acknowledged_at ? (alarm.cleared_at ? "over" : alarm.priority) : "none";
  keep(parts.alarms, [alarms, alarmsKnown], () => {
    if (!alarmsKnown) return [h("span", {}, t("ui-alarms-unknown"))];
    if (!alarm) return [h("span", {}, t("ui-alarms-none"))];
    return [
      h("span", { class: "mark", "aria-hidden": "true" }, alarm.acknowledged_at || alarm.cleared_at ? "○" : "▲"),
      h("strong", {}, `${t(`alarm-priority-${alarm.priority}`)}: ${t(`alarm-${alarm.code}`)}`),
      h("span", { class: "subject" }, `${alarm.restricted ? t("ui-restricted-piece") : alarm.subject} ${said(alarm.detail)}`.trim()),
      h("span", { class: "remedy" }, alarm.cleared_at ? t("ui-alarm-over", { time: timeOf(alarm.cleared_at) }) : t(`alarm-${alarm.code}-remedy`)),
      h("span", { class: "count" }, `${timeOf(alarm.raised_at)} · ${t("ui-alarms-count", { open: alarms.unacknowledged, all: alarms.present })}`),
      alarm.alarm_id === null
        ? null
        : alarm.acknowledged_at
        ? alarm.code === "escaped" && !alarm.cleared_at && may("settle-alarms")
          ? h("button", { type: "button", id: "settle", onclick: () => sayWhatBecame(alarm) }, t("ui-settle"))
          : h("span", {}, t("ui-acknowledged"))
        : !may("acknowledge-alarms")
        ? null
        : h("button", { type: "button", id: "acknowledge", "aria-disabled": String(!settled), "data-key": "acknowledge", onclick: acknowledge }, t("ui-acknowledge"), " ", h("kbd", {}, "F10")),
    ];
  });
}

/** From now on the bar must stand as it is for a moment before its alarm can be acknowledged. */
function settle() {
  settled = false;
  permitAcknowledging();
  clearTimeout(settling);
  settling = setTimeout(() => {
    settled = true;
    permitAcknowledging();
  }, SETTLE_MS);
}

function permitAcknowledging() {
  document.getElementById("acknowledge")?.setAttribute("aria-disabled", String(!settled));
}

/**
 * Say what became of what escaped.
 * @param {any} alarm
 */
function sayWhatBecame(alarm) {
  const note = h("textarea", { id: "settle-note", required: true, maxlength: 1000, rows: 3 });
  const go = h("button", { type: "submit", id: "settle-go" }, t("ui-settle"));
  const form = h(
    "form",
    {
      class: "door",
      onsubmit: async (/** @type {Event} */ event) => {
        event.preventDefault();
        if (go.disabled) return;
        go.disabled = true;
        const done = await attempt(() => post(`/alarms/${alarm.alarm_id}/settle`, { note: note.value }));
        go.disabled = false;
        // It may have been closed, and opened for another alarm, meanwhile.
        if (done && form.isConnected) parts.settling.close();
        await refreshAlarms();
      },
    },
    h("h2", {}, t("ui-settle")),
    h("label", { for: "settle-note" }, t("ui-settle-explained", { subject: alarm.subject }), note),
    h("div", { class: "lease" }, go, h("button", { type: "button", onclick: () => parts.settling.close() }, t("ui-close"))),
  );
  parts.settling.replaceChildren(form);
  parts.settling.showModal();
  note.focus();
}

/** A person has seen the alarm that stands in the bar. */
export async function acknowledge() {
  // Nobody acknowledges what the bar does not show, nor what it has only just begun to show.
  if (acknowledging || !shown || shown.alarm_id === null || shown.acknowledged_at) return;
  if (!settled) {
    tell(t("ui-alarm-just-come"), true);
    return;
  }
  const { alarm_id } = shown;
  acknowledging = true;
  await attempt(() => post(`/alarms/${alarm_id}/acknowledge`));
  await refreshAlarms();
  acknowledging = false;
}
