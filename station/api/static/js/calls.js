// Asking the station. Every write carries a new key, so that repeating it on a bad line has one effect.

import { lang, t } from "./words.js";

const BASE = "/api/v1";
const TIMEOUT_MS = 8000;

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

/** Who acts. */
export function person() {
  return localStorage.getItem("kt1.person") || "operator";
}

/** @param {string} name */
export function setPerson(name) {
  localStorage.setItem("kt1.person", name.normalize("NFC").split(/\s+/).filter(Boolean).join(" ") || "operator");
}

/**
 * @param {string} path
 * @param {RequestInit} options
 */
async function call(path, options) {
  let answer;
  try {
    answer = await fetch(BASE + path, { ...options, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new CallError(t("ui-no-answer"), "no-answer");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new CallError((body.titles && body.titles[lang()]) || t("problem-station-error"), body.code || "station-error");
  return body;
}

/** @param {string} path */
export function get(path) {
  return call(path, {});
}

/**
 * @param {string} path
 * @param {unknown} [body]
 */
export async function post(path, body) {
  const options = {
    method: "POST",
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: { "Content-Type": "application/json", "Idempotency-Key": newKey(), "X-Person": encodeURIComponent(person()) },
  };
  try {
    return await call(path, options);
  } catch (error) {
    // The answer was lost, perhaps the request too: once more with the same key.
    if (error instanceof CallError && error.code === "no-answer") return call(path, options);
    throw error;
  }
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
