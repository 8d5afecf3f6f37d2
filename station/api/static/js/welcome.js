// Choosing a password by a one-time link. The link's secret stands behind the `#`, so that no request and no log ever carries it.

import { enter } from "./calls.js";
import { field, openDoor, valueOf } from "./door.js";
import { t } from "./words.js";

const link = location.hash.slice(1);
// Nor does it stay in the browser's history.
history.replaceState(null, "", location.pathname);

await openDoor({
  title: "ui-welcome",
  explain: "ui-welcome-explained",
  go: "ui-choose-password",
  fields: () => [
    field("password", "ui-password", { type: "password", autocomplete: "new-password", minlength: 12 }),
    field("again", "ui-password-again", { type: "password", autocomplete: "new-password", minlength: 12 }),
  ],
  submit: async () => {
    if (valueOf("password") !== valueOf("again")) throw new Error(t("ui-passwords-differ"));
    if (!link) throw new Error(t("problem-link-invalid"));
    await enter("/session/link", { link, password: valueOf("password") });
    location.replace("/");
  },
});
