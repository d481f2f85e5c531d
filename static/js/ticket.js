// The order ticket: which fields belong to the type, and the size that the calculator worked out.
(() => {
  "use strict";

  function show(form) {
    const type = form.querySelector("[name=type]:checked, select[name=type]");
    if (!type) return;
    form.querySelectorAll("[data-for]").forEach((box) => {
      const isNeeded = box.dataset.for.split(" ").includes(type.value);
      box.hidden = !isNeeded;
      box.querySelectorAll("input, select").forEach((field) => {
        field.disabled = !isNeeded;
      });
    });
  }

  function side(form) {
    const chosen = form.querySelector("[name=direction]:checked");
    form.dataset.side = chosen ? chosen.value : "";
    const words = form.querySelector("[data-send-words]");
    if (words && chosen) words.textContent = chosen.value === "sell" ? "Sell" : "Buy";
  }

  function all() {
    document.querySelectorAll("form[data-ticket]").forEach((form) => {
      show(form);
      side(form);
    });
  }

  document.addEventListener("change", (event) => {
    const form = event.target.closest && event.target.closest("form[data-ticket]");
    if (!form) return;
    show(form);
    side(form);
  });

  document.addEventListener("click", (event) => {
    const use = event.target.closest("[data-use-lots]");
    if (!use) return;
    const form = use.closest("form[data-ticket]");
    const volume = form && form.querySelector("[name=volume]");
    if (!volume) return;
    volume.value = use.dataset.useLots;
    volume.dispatchEvent(new Event("input", { bubbles: true }));
    volume.focus();
  });

  document.addEventListener("htmx:afterSwap", all);
  all();
})();
