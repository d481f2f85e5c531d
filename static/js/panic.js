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
