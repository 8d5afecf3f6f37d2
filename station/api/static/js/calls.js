// Asking the station. Every write carries a new key, so that repeating it on a bad line has one effect.

import { lang, t, TIMEOUT_MS, useSiteClock } from "./words.js";

const BASE = "/api/v1";
const NO_CONTENT = 204;
// A report of a year reads a million facts.
const SLOW_MS = 310000;
// Whoever goes is not kept waiting by what is still to be told.
const LAST_WORD_MS = 2000;

/** Whoever is logged in goes: what must be told in their name is told now. */
export const LEAVING = "kt1-leaving";

/** @type {any} */
let session = null;
/** Somebody is logging out: they go to the log-in page, and nobody comes back from there to this one. */
let leaving = false;
/** @type {Promise<unknown>} */
let lastTold = Promise.resolve();
/** @type {() => Promise<boolean>} */
let confirmPerson = async () => false;

/** A refusal or a failure, with the words to show. */
export class CallError extends Error {
  /**
   * @param {string} message
   * @param {string} code
   */
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/** Who is logged in; null before `loadSession`. */
export function who() {
  return session;
}

/**
 * True when whoever is logged in may do it.
 * @param {string} action
 */
export function may(action) {
  return Boolean(session?.permissions.includes(action));
}

/** Learn who is logged in; leads to the log-in page where nobody is. */
export async function loadSession() {
  session = await call("/session", {});
  useSiteClock(session.utc_offset_min);
}

/** Learn it again: another tab may have logged in somebody else. Then this page is loaded anew, so that it says who it is. */
export async function renewSession() {
  const now = await call("/session", {});
  if (now.user_id !== session.user_id) {
    location.reload();
    // This page is being left: nobody waits for the answer any more.
    return new Promise(() => {});
  }
  session = now;
}

/**
 * How to ask for the password once more, where the station wants it.
 * @param {() => Promise<boolean>} ask
 */
export function useConfirmation(ask) {
  confirmPerson = ask;
}

/** Log in, and come back to this page. */
function toLogIn() {
  location.replace(leaving ? "/login" : `/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @param {number} [timeoutMs]
 */
async function call(path, options, timeoutMs = TIMEOUT_MS) {
  const answer = await ask(path, options, timeoutMs);
  if (!answer.ok) return refuse(await answer.json().catch(() => ({})));
  if (answer.status === NO_CONTENT) return {};
  try {
    return await answer.json();
  } catch {
    // It was cut off: half of an answer is none.
    throw new CallError(t("ui-no-answer"), "no-answer");
  }
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @param {number} timeoutMs
 */
async function ask(path, options, timeoutMs) {
  try {
    return await fetch(BASE + path, { ...options, cache: "no-store", signal: AbortSignal.timeout(timeoutMs) });
  } catch {
    throw new CallError(t("ui-no-answer"), "no-answer");
  }
}

/** @param {any} body */
function refuse(body) {
  if (body.code === "not-logged-in") {
    toLogIn();
    // This page is being left: nobody waits for the answer any more.
    return new Promise(() => {});
  }
  throw new CallError((body.titles && body.titles[lang()]) || t("problem-station-error"), body.code || "station-error");
}

/** @param {string} path */
export function get(path) {
  return call(path, {});
}

/**
 * Get what may take minutes to make.
 * @param {string} path
 */
export function getSlowly(path) {
  return call(path, {}, SLOW_MS);
}

/**
 * Get a file and hand it to the browser to keep.
 * @param {string} path
 * @param {string} [name] the one that the station gives it unless named
 * @returns {Promise<string>} its name
 */
export async function keepFile(path, name) {
  const answer = await ask(path, {}, SLOW_MS);
  if (!answer.ok) return refuse(await answer.json().catch(() => ({})));
  const kept = name ?? answer.headers.get("Content-Disposition")?.match(/filename="([^"]+)"/)?.[1] ?? "kt1";
  const file = await answer.blob().catch(() => {
    throw new CallError(t("ui-no-answer"), "no-answer");
  });
  keepBlob(file, kept);
  return kept;
}

/**
 * Hand a text to the browser to keep as a file.
 * @param {string} text
 * @param {string} name
 */
export function keepText(text, name) {
  keepBlob(new Blob([text], { type: "text/plain" }), name);
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
function keepBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken it over by then.
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/**
 * @param {string} path
 * @param {unknown} [body]
 */
export function post(path, body) {
  return change(path, write("POST", body));
}

/**
 * Do what is right when it is said, and may not be any more a moment later: it is never repeated by itself.
 * @param {string} path
 * @param {unknown} [body]
 */
export function postOnce(path, body) {
  return send(path, write("POST", body));
}

/**
 * Do what must be done whoever is logged in by now: in that person's name.
 * @param {string} path
 * @param {unknown} body
 */
export async function postWhoever(path, body) {
  const options = write("POST", body);
  try {
    return await twice(path, options, call);
  } catch (error) {
    if (!isForeign(error)) throw error;
    const now = await call("/session", {});
    const done = await twice(path, withToken(options, now), call);
    await renewSession();
    return done;
  }
}

/**
 * Change some members; those that are left out stay.
 * @param {string} path
 * @param {unknown} body
 */
export function patch(path, body) {
  return change(path, write("PATCH", body));
}

/**
 * @param {string} path
 * @param {RequestInit} options
 */
async function change(path, options) {
  try {
    return await twice(path, options, send);
  } catch (error) {
    if (!(error instanceof CallError) || error.code !== "step-up-needed" || !(await confirmPerson())) throw error;
    return twice(path, options, send);
  }
}

/**
 * Tell for how long a picture was on the screen. The page may be going: the browser sends it all the same, and nobody waits for an answer.
 * @param {string} pieceId
 * @param {string} sha256
 * @param {number} shownMs
 * @param {number} heatMs
 */
export function tellLooked(pieceId, sha256, shownMs, heatMs) {
  const path = `/scans/${encodeURIComponent(sha256)}/looked?piece=${encodeURIComponent(pieceId)}`;
  const telling = fetch(BASE + path, { ...write("POST", { shown_ms: shownMs, heat_ms: heatMs }), keepalive: true }).catch(() => {});
  lastTold = Promise.all([lastTold, telling]);
}

/**
 * Come in, or choose a password. Never repeated by itself: each one counts as a try.
 * @param {string} path
 * @param {unknown} body
 */
export async function enter(path, body) {
  session = await send(path, write("POST", body));
}

/** Go out. What is still to be told of the pictures is told before. */
export async function leave() {
  dispatchEvent(new Event(LEAVING));
  await Promise.race([lastTold, new Promise((resolve) => setTimeout(resolve, LAST_WORD_MS))]);
  // What else this page asks meanwhile is refused by then, or not yet.
  leaving = true;
  try {
    await send("/session", write("DELETE", undefined));
  } catch (error) {
    leaving = false;
    throw error;
  }
  toLogIn();
}

/**
 * @param {string} method
 * @param {unknown} body
 */
function write(method, body) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": newKey(), "X-CSRF-Token": session?.csrf_token ?? "" };
  return { method, body: body === undefined ? undefined : JSON.stringify(body), headers };
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @param {typeof call} how
 */
async function twice(path, options, how) {
  try {
    return await how(path, options);
  } catch (error) {
    // The answer was lost, perhaps the request too: once more with the same key.
    if (error instanceof CallError && error.code === "no-answer") return how(path, options);
    throw error;
  }
}

/**
 * A write. After a log-in in another tab the station refuses this page's token, and has done nothing: for the same person it is repeated once.
 * @param {string} path
 * @param {RequestInit} options
 */
async function send(path, options) {
  try {
    return await call(path, options);
  } catch (error) {
    if (!session || !isForeign(error)) throw error;
    await renewSession();
    return call(path, withToken(options, session));
  }
}

/** @param {unknown} error */
function isForeign(error) {
  return error instanceof CallError && error.code === "request-foreign";
}

/**
 * @param {RequestInit} options
 * @param {any} now the session as it is
 */
function withToken(options, now) {
  return { ...options, headers: { ...options.headers, "X-CSRF-Token": now.csrf_token } };
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
