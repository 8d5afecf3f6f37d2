// What every page has: heading, language, person, alarm bar, old-data banner, messages, help.

import { person, post, setPerson, get } from "./calls.js";
import { h, keep, say } from "./dom.js";
import { allKeys, listenToKeys } from "./keys.js";
import { lang, loadWords, said, t, timeOf, useLanguage } from "./words.js";

const REFRESH_MS = 5000;
const URGENCY = ["critical", "high", "medium", "low"];

const parts = {
  alarms: h("section", { class: "alarms", id: "alarms", "aria-live": "assertive" }),
  stale: h("div", { class: "stale-banner", id: "stale", role: "alert", hidden: true }),
  message: h("div", { class: "message", id: "message", role: "status", hidden: true }),
  help: h("dialog", { class: "help", id: "help" }),
  main: h("main", { id: "main" }),
};

/** @type {any[]} */
let alarms = [];
let alarmsKnown = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let messageTimer;
/** @type {() => void} */
let rebuildPage = () => {};

/**
 * Build the frame of a page and keep its alarm bar up to date.
 * @param {{ title: string, current: string, build: (main: HTMLElement) => void }} page `title` is a message id
 */
export async function openPage(page) {
  await loadWords();
  rebuildPage = () => {
    document.title = `${t(page.title)} – KT1`;
    document.body.replaceChildren(
      h("a", { class: "skip", href: "#main" }, t("ui-skip")),
      header(page.current),
      parts.stale,
      parts.alarms,
      parts.message,
      parts.main,
      parts.help,
    );
    say(parts.stale, t("ui-stale"));
    parts.main.replaceChildren();
    page.build(parts.main);
    delete parts.alarms.dataset.shown;
    showAlarms();
  };
  rebuildPage();
  listenToKeys(openHelp);
  await refreshAlarms();
  setInterval(refreshAlarms, REFRESH_MS);
}

/** @param {string} current */
function header(current) {
  const link = (/** @type {string} */ name, /** @type {string} */ path) =>
    h("a", { href: path, "aria-current": name === current ? "page" : null }, t(`ui-nav-${name}`));
  const name = h("input", { type: "text", id: "person", value: person(), maxlength: 64, size: 12, autocomplete: "off", spellcheck: "false" });
  name.addEventListener("change", () => {
    setPerson(name.value);
    name.value = person();
  });
  return h(
    "header",
    {},
    h("strong", { class: "brand" }, t("ui-brand")),
    h("nav", { "aria-label": t("ui-nav") }, link("start", "/"), link("review", "/review")),
    h("span", { class: "gap" }),
    h("label", { class: "person" }, t("ui-person"), " ", name),
    h("button", { type: "button", id: "language", lang: lang() === "vi" ? "en" : "vi", onclick: switchLanguage }, t("ui-other-language")),
    h("button", { type: "button", id: "help-button", onclick: openHelp, "aria-label": t("ui-help") }, "?"),
  );
}

/** Change to the other language without losing what is on screen. */
export async function switchLanguage() {
  try {
    await useLanguage(lang() === "vi" ? "en" : "vi");
    rebuildPage();
    document.getElementById("language")?.focus();
  } catch {
    tell(t("ui-no-answer"), true);
  }
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

/** Read the alarms again. */
export async function refreshAlarms() {
  try {
    alarms = (await get("/alarms?limit=100")).items;
    alarmsKnown = true;
  } catch {
    alarmsKnown = false;
  }
  showAlarms();
}

function worst() {
  const open = alarms.filter((alarm) => !alarm.acknowledged_at);
  // What still stands comes before what is over and only waits to be seen.
  const rank = (alarm) => (alarm.cleared_at ? URGENCY.length : 0) + URGENCY.indexOf(alarm.priority);
  return [...(open.length ? open : alarms)].sort((one, other) => rank(one) - rank(other))[0];
}

function showAlarms() {
  const alarm = worst();
  const unseen = alarms.filter((each) => !each.acknowledged_at).length;
  parts.alarms.dataset.level = !alarmsKnown ? "unknown" : alarm && !alarm.acknowledged_at ? (alarm.cleared_at ? "over" : alarm.priority) : "none";
  keep(parts.alarms, [alarm, alarms.length, unseen, alarmsKnown], () => {
    if (!alarmsKnown) return [h("span", {}, t("ui-alarms-unknown"))];
    if (!alarm) return [h("span", {}, t("ui-alarms-none"))];
    return [
      h("span", { class: "mark", "aria-hidden": "true" }, alarm.acknowledged_at || alarm.cleared_at ? "○" : "▲"),
      h("strong", {}, `${t(`alarm-priority-${alarm.priority}`)}: ${t(`alarm-${alarm.code}`)}`),
      h("span", { class: "subject" }, `${alarm.subject} ${said(alarm.detail)}`.trim()),
      h("span", { class: "remedy" }, alarm.cleared_at ? t("ui-alarm-over", { time: timeOf(alarm.cleared_at) }) : t(`alarm-${alarm.code}-remedy`)),
      h("span", { class: "count" }, `${timeOf(alarm.raised_at)} · ${t("ui-alarms-count", { open: unseen, all: alarms.length })}`),
      alarm.alarm_id === null
        ? null
        : alarm.acknowledged_at
        ? h("span", {}, t("ui-acknowledged"))
        : h("button", { type: "button", id: "acknowledge", "data-key": "acknowledge", onclick: acknowledge }, t("ui-acknowledge"), " ", h("kbd", {}, "F10")),
    ];
  });
}

/** A person has seen the alarm that stands in the bar. */
export async function acknowledge() {
  const alarm = worst();
  if (!alarm || alarm.alarm_id === null || alarm.acknowledged_at) return;
  await attempt(() => post(`/alarms/${alarm.alarm_id}/acknowledge`));
  await refreshAlarms();
}
