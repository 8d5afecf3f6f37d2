// Keys by their place (`event.code`), never by letter: Vietnamese input methods swallow and compose letters.

/** @typedef {{ name: string, codes: string[], text: string, act: () => void, early?: boolean }} Key `early`: pressed before the page was built, it acts once it is */

/** What a key acts on must have stood on screen for so long: a key meant for what stood there before must not hit it. */
export const SETTLE_MS = 400;
const ENTERS = ["Enter", "NumpadEnter"];
const CHOSEN = '.queue-item[aria-pressed="true"]';

/** @type {Key[] | null} */
let keys = null;
/** @type {Set<string>} */
const pressedEarly = new Set();
/** @type {() => void} */
let openHelp = () => {};

/** @param {EventTarget | null} target */
function isWriting(target) {
  return target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && ["text", "password"].includes(target.type));
}

/**
 * Set what the keys of this page do.
 * @param {Key[]} wanted
 */
export function useKeys(wanted) {
  const all = wanted.flatMap((key) => key.codes);
  if (new Set(all).size !== all.length) throw new Error("one key has two meanings");
  keys = wanted;
  for (const key of keys) if (key.early && key.codes.some((code) => pressedEarly.has(code))) key.act();
  pressedEarly.clear();
}

/** The keys of this page, for the help. */
export function allKeys() {
  return keys ?? [];
}

/** @param {() => void} open */
export function useHelp(open) {
  openHelp = open;
}

// From the first moment on: a page that still waits for its words must not swallow a freeze.
document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.altKey || event.metaKey) return;
  if (!keys) {
    pressedEarly.add(event.code);
    return;
  }
  const writing = isWriting(event.target);
  if (event.key === "?" && !writing) {
    event.preventDefault();
    openHelp();
    return;
  }
  // While somebody writes or reads the help, only function keys act.
  const key = keys.find((each) => each.codes.includes(event.code));
  const onlyFunctions = writing || document.querySelector("dialog[open]") !== null;
  if (!key || (onlyFunctions && !/^F\d+$/.test(event.code))) return;
  // Enter on a focused button is that button's; one that is chosen already has nothing more to do.
  if (ENTERS.includes(event.code) && event.target instanceof HTMLElement && event.target.closest(`button:not(${CHOSEN}), a, summary`)) return;
  event.preventDefault();
  if (!event.repeat || event.code.startsWith("Arrow")) key.act();
});
