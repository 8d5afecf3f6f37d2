// The lane as a picture, with the pieces where they are. Lengths in mm from the start of the infeed belt.

import { svg } from "./dom.js";
import { t } from "./words.js";

const BELTS = [
  { name: "B1", from: 0, to: 1000, text: "ui-belt-infeed" },
  { name: "B2", from: 1000, to: 2200, text: "ui-belt-xray" },
  { name: "B3", from: 2200, to: 3700, text: "ui-belt-decision" },
  { name: "B4", from: 3700, to: 5100, text: "ui-belt-uv" },
  { name: "B5", from: 5100, to: 5900, text: "ui-belt-gate" },
];
const BEAM = 1600;
const LAMPS = [4000, 4800];
const GATE = 5900;
const LENGTH = 6100;

/** @type {Record<string, string>} */
const MARKS = { cleared: "✓", disinfecting: "✓", disinfected: "✓", released: "✓", held: "✕", in_review: "✕", rejected: "✕", frozen: "■", escaped: "▲" };

/**
 * The sign of a piece's state.
 * @param {string | null} state null where it is not told
 */
export function stateMark(state) {
  return MARKS[String(state)] ?? "·";
}

/** @param {any} view */
export function lanePicture(view) {
  const shapes = [];
  BELTS.forEach((belt, index) => {
    const moves = view.belt_speeds_mm_s[index] !== 0;
    shapes.push(
      svg("rect", { x: belt.from + 10, y: 190, width: belt.to - belt.from - 20, height: 130, rx: 20, class: moves ? "belt moves" : "belt" }),
      svg("text", { x: belt.from + (index > 2 ? 110 : 30), y: 390, class: "label" }, `${belt.name} ${t(belt.text)} ${moves ? "▶" : "■"} ${view.belt_speeds_mm_s[index]}`),
    );
  });
  shapes.push(
    svg("path", { d: `M${BEAM - 120} 40h240l-70 120v190h-100v-190z`, class: view.beam_on ? "device on" : "device" }),
    svg("text", { x: BEAM + 150, y: 120, class: "label" }, t(view.beam_on ? "ui-beam-on" : "ui-beam-off")),
    svg("rect", { x: LAMPS[0], y: 60, width: LAMPS[1] - LAMPS[0], height: 90, rx: 15, class: view.lamps_on ? "device on" : "device" }),
    svg("text", { x: LAMPS[0] + 25, y: 125, class: "label inside" }, t(view.lamps_on ? "ui-lamps-on" : "ui-lamps-off")),
    svg("rect", { x: GATE, y: 60, width: 50, height: view.gate === "open" ? 90 : 270, class: "device gate" }),
  );
  for (const [at, text] of [[3700, "ui-bin-hold"], [5100, "ui-bin-return"]]) {
    shapes.push(svg("path", { d: `M${at} 330l-70 60h140z`, class: "device" }), svg("text", { x: Number(at) - 330, y: 470, class: "label" }, t(String(text))));
  }
  for (const piece of view.pieces) shapes.push(pieceShape(piece, view.request?.piece_id === piece.piece_id));
  const drawing = svg("svg", { viewBox: `-40 0 ${LENGTH + 80} 500`, class: "lane-picture", role: "img", "aria-label": t("ui-lane-picture", { count: view.pieces.length }) });
  drawing.append(...shapes);
  return drawing;
}

/**
 * @param {any} piece
 * @param {boolean} waits
 */
function pieceShape(piece, waits) {
  const tail = Math.max(0, piece.head_mm - piece.length_mm);
  const title = piece.piece_id === null ? t("ui-restricted-piece") : `${piece.piece_id} ${t(`piece-state-${piece.state}`)}`;
  const mark = stateMark(piece.state);
  return svg(
    "g",
    { class: `piece ${piece.state ?? "hidden"}${waits ? " waits" : ""}`, "data-piece": piece.piece_id },
    svg("title", {}, title),
    svg("rect", { x: tail, y: 205, width: Math.max(60, piece.head_mm - tail), height: 100, rx: 10 }),
    svg("text", { x: tail + 20, y: 280, class: "mark" }, piece.marked ? `${mark} ${piece.secrecy ?? "?"}` : mark),
  );
}
