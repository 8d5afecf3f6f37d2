// The words on screen, in the chosen language; they come from the same files as the server's.

/** For so long an answer is waited for. */
export const TIMEOUT_MS = 8000;

/** @type {Record<string, string>} */
let messages = {};
let language = "vi";
const MINUTE_MS = 60_000;
// The browser's own until the station has said what the site's is.
let aheadMs = -new Date().getTimezoneOffset() * MINUTE_MS;

/** The language on screen, `vi` or `en`. */
export function lang() {
  return language;
}

/** Load the language that was chosen last; Vietnamese if none was. */
export async function loadWords() {
  await useLanguage(localStorage.getItem("kt1.language") === "en" ? "en" : "vi");
}

/** @param {string} wanted */
export async function useLanguage(wanted) {
  const answer = await fetch(`/locales/${wanted}.json`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok) throw new Error(`texts: ${answer.status}`);
  messages = await answer.json();
  language = wanted;
  localStorage.setItem("kt1.language", wanted);
  document.documentElement.lang = wanted;
}

/**
 * A message, its variables filled in. A message that nobody wrote shows its id.
 * @param {string} id
 * @param {Record<string, unknown>} [variables]
 */
export function t(id, variables = {}) {
  const message = Object.hasOwn(messages, id) ? messages[id] : id;
  return message.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(variables, name) ? String(variables[name]) : whole));
}

/**
 * What a lane says of its trouble, in words: `zones-reached zones=word-zone-gate,word-zone-uv-a`. Anything else is shown as it is.
 * @param {string} detail
 */
export function said(detail) {
  const [name, ...values] = detail.split(" ");
  const id = `lane-says-${name}`;
  if (!Object.hasOwn(messages, id)) return detail;
  const words = (/** @type {string} */ value) =>
    value
      .split(",")
      .map((word) => (Object.hasOwn(messages, word) ? t(word) : word.replaceAll("_", " ")))
      .join(", ");
  return t(id, Object.fromEntries(values.map((pair) => [pair.slice(0, pair.indexOf("=")), words(pair.slice(pair.indexOf("=") + 1))])));
}

/**
 * Tell every time on the site's clock, whatever clock the browser has.
 * @param {number} minutes by which it is ahead of UTC
 */
export function useSiteClock(minutes) {
  aheadMs = minutes * MINUTE_MS;
}

/**
 * A moment moved so that its UTC fields are what the site's clock shows.
 * @param {string | number} at
 */
function onSiteClock(at) {
  return new Date(new Date(at).getTime() + aheadMs);
}

/** The site's day, `2026-11-21`. */
export function today() {
  return dayOf(Date.now());
}

/** @param {string | number} at */
function dayOf(at) {
  return onSiteClock(at).toISOString().slice(0, 10);
}

/**
 * @param {string} at
 * @param {Intl.DateTimeFormatOptions} form
 */
function told(at, form) {
  return onSiteClock(at).toLocaleString(language === "vi" ? "vi-VN" : "en-GB", { ...form, timeZone: "UTC" });
}

/** @param {string | null | undefined} at a moment of this day, or else told with its date */
export function timeOf(at) {
  if (!at) return "–";
  return dayOf(at) === today() ? told(at, { timeStyle: "medium" }) : instantOf(at);
}

/** @param {string} at a moment of another day, perhaps */
export function momentOf(at) {
  return told(at, { dateStyle: "short", timeStyle: "short" });
}

/** @param {string} at a moment of another day, to the second */
export function instantOf(at) {
  return told(at, { dateStyle: "short", timeStyle: "medium" });
}

/**
 * The moment that somebody wrote into a field, `2026-11-21T15:00` on the site's clock, as the interface takes it.
 * @param {string} field
 */
export function writtenMoment(field) {
  return new Date(Date.parse(`${field}Z`) - aheadMs).toISOString();
}

/**
 * @param {number | null | undefined} value
 * @param {number} digits
 */
export function figure(value, digits) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString(language === "vi" ? "vi-VN" : "en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
