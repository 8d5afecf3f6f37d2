// Building the page. Text goes in as text only, so that nothing that comes from outside is ever read as markup.

import { today } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {Element} element
 * @param {Record<string, unknown>} attributes
 * @param {unknown[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/**
 * An HTML element; attributes that begin with "on" and hold a function are listeners.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...unknown} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...unknown} children
 * @returns {any}
 */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * Set an element's text, touching the page only when it changes.
 * @param {Element} element
 * @param {unknown} text
 */
export function say(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/**
 * Rebuild the children of an element only when what they show has changed; keeps the keyboard focus by `data-key`.
 * @param {HTMLElement} parent
 * @param {unknown} shown what the children are made of
 * @param {() => unknown[]} build
 */
export function keep(parent, shown, build) {
  // What was told without a date was of that day.
  const mark = JSON.stringify([shown, today()]);
  if (parent.dataset.shown === mark) return;
  parent.dataset.shown = mark;
  const focused = parent.contains(document.activeElement) ? document.activeElement?.getAttribute("data-key") : null;
  parent.replaceChildren();
  fill(parent, {}, build());
  if (focused) {
    const again = [...parent.querySelectorAll("[data-key]")].find((element) => element.getAttribute("data-key") === focused);
    if (again instanceof HTMLElement) again.focus();
  }
}
