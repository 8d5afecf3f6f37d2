// A page before it has its words, and one that comes back. The words here are built in: they are for the moment when no others can be had.

import { h } from "./dom.js";

const AGAIN_MS = 2000;
/** @type {[string, string][]} */
const WAITS = [
  ["vi", "⚠ Trạm chưa trả lời nên trang này chưa hiện gì và chưa nhận lệnh nào. Trang tự hỏi lại sau mỗi 2 giây. F9 đã bấm ở trang của làn sẽ được gửi ngay khi trang mở được; cần dừng ngay thì bấm nút dừng khẩn cấp tại làn."],
  ["en", "⚠ The station does not answer, so this page shows nothing and takes no command yet. It asks again every 2 seconds. F9 pressed on a lane's page is sent as soon as the page opens; to stop at once, press the emergency stop at the lane."],
];

/**
 * What a page cannot begin without, asked for until it comes. Meanwhile the page says that it waits.
 * @template T
 * @param {() => Promise<T>} ask
 * @returns {Promise<T>}
 */
export async function untilAnswered(ask) {
  for (;;) {
    const slow = setTimeout(tellThatItWaits, AGAIN_MS);
    try {
      return await ask();
    } catch {
      tellThatItWaits();
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    } finally {
      clearTimeout(slow);
    }
  }
}

/** Until the page is built in its place. */
function tellThatItWaits() {
  if (document.getElementById("waits")) return;
  document.body.append(h("div", { id: "waits", class: "message bad", role: "alert" }, ...WAITS.map(([language, text]) => h("p", { lang: language }, text))));
}

/** A page that the browser had put aside may belong to whoever was logged in then: it is loaded anew. */
export function neverFromAside() {
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}
