// The log-in page; afterwards it leads back to the page that was asked for.

import { enter } from "./calls.js";
import { field, openDoor, valueOf } from "./door.js";

/** The page that was asked for, if it is one of this station's own. */
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  // Whatever a browser may read as another host begins with something else than one plain slash.
  if (!/^\/(?![/\\])[\w/.?=&%-]*$/.test(next)) return "/";
  const target = new URL(next, location.origin);
  return target.origin === location.origin && target.pathname !== "/login" ? target.pathname + target.search : "/";
}

await openDoor({
  title: "ui-log-in",
  explain: "ui-log-in-explained",
  go: "ui-log-in",
  fields: () => [
    field("login", "ui-login", { type: "text", autocomplete: "username", autocapitalize: "none", spellcheck: "false" }),
    field("password", "ui-password", { type: "password", autocomplete: "current-password" }),
  ],
  submit: async () => {
    await enter("/session", { login: valueOf("login"), password: valueOf("password") });
    location.replace(wanted());
  },
});
