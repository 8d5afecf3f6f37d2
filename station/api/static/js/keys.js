// Keys by their place (`event.code`), never by letter: Vietnamese input methods swallow and compose letters.

/** @typedef {{ name: string, codes: string[], text: string, act: () => void }} Key */

/** @type {Key[]} */
let keys = [];

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
}

/** The keys of this page, for the help. */
export function allKeys() {
  return keys;
}

/** @param {() => void} help */
export function listenToKeys(help) {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.altKey || event.metaKey) return;
    const writing = isWriting(event.target);
    if (event.key === "?" && !writing) {
      event.preventDefault();
      help();
      return;
    }
    // While somebody writes or reads the help, only function keys act.
    const key = keys.find((each) => each.codes.includes(event.code));
    const onlyFunctions = writing || document.querySelector("dialog[open]") !== null;
    if (!key || (onlyFunctions && !/^F\d+$/.test(event.code))) return;
    // Enter on a focused button is that button's.
    if (event.code === "Enter" && event.target instanceof HTMLElement && event.target.closest("button:not(.queue-item), a, summary")) return;
    event.preventDefault();
    if (!event.repeat || event.code.startsWith("Arrow")) key.act();
  });
}
