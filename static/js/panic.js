// "Close all": one keyboard shortcut from everywhere, and what stands on top of a page while it works.
(() => {
  "use strict";

  const button = document.querySelector("[data-panic]");

  // Shift+Escape belongs to the browsers.
  document.addEventListener("keydown", (event) => {
    if (!button || event.key.toLowerCase() !== "x" || !event.shiftKey || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    const modal = document.getElementById("modal");
    if (modal && modal.open) modal.close();
    button.click();
  });

  // --- what is done about a violation is looked for at once, and not only with the next round ---

  const LOOK_MS = 300;
  const SECOND_LOOK_MS = 1200; // it may have begun a moment after the violation was told
  const looks = new Map();

  function look(delay) {
    if (looks.has(delay)) return;
    looks.set(delay, setTimeout(() => {
      looks.delete(delay);
      htmx.trigger(document.body, "standing-changed");
    }, delay));
  }

  function lookSoon() {
    look(LOOK_MS);
    look(SECOND_LOOK_MS);
  }

  document.addEventListener("violation-seen", lookSoon);
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    if (["live-banner", "toasts"].includes(event.detail.target.id)) lookSoon();
  });

  // --- what somebody unfolded stays unfolded when its surroundings are drawn anew ---

  let unfolded = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    unfolded = Array.from(event.detail.target.querySelectorAll("details[id][open]"), (each) => each.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    unfolded.forEach((id) => {
      const again = document.getElementById(id);
      if (again) again.open = true;
    });
    unfolded = [];
  });
})();
