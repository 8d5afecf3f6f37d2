// Changing one's own password. Whoever is logged in elsewhere as oneself is not any more.

import { untilAnswered } from "./arrival.js";
import { enter, loadSession, who } from "./calls.js";
import { field, openDoor, valueOf } from "./door.js";
import { loadWords, t } from "./words.js";

await untilAnswered(loadWords);
await untilAnswered(loadSession);
await openDoor({
  title: "ui-change-password",
  explain: "ui-change-password-explained",
  explainWith: { person: who().display_name },
  go: "ui-change-password",
  back: "/",
  fields: () => [
    field("present", "ui-password-present", { type: "password", autocomplete: "current-password" }),
    field("password", "ui-password-new", { type: "password", autocomplete: "new-password", minlength: 12 }),
    field("again", "ui-password-again", { type: "password", autocomplete: "new-password", minlength: 12 }),
  ],
  submit: async () => {
    if (valueOf("password") !== valueOf("again")) throw new Error(t("ui-passwords-differ"));
    await enter("/session/password", { present_password: valueOf("present"), password: valueOf("password") });
    location.replace("/");
  },
});
