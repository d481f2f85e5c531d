// Small conveniences; every page works without them.
(() => {
  "use strict";

  const TOAST_MS = 7000;
  const READING_MS = 45; // a letter

  // --- toasts: errors stay until they are closed ---

  function startToast(toast) {
    if (toast.dataset.started || toast.classList.contains("toast-error")) return;
    toast.dataset.started = "";
    const remove = () => {
      if (toast.matches(":hover, :focus-within")) setTimeout(remove, TOAST_MS / 2);
      else toast.remove();
    };
    setTimeout(remove, TOAST_MS + READING_MS * toast.textContent.length);
  }

  // What is told alike of many accounts takes one toast: the newest, with the number of the others.
  function foldToasts() {
    const newest = new Map();
    Array.from(document.querySelectorAll("[data-toast][data-fold]")).reverse().forEach((toast) => {
      const kept = newest.get(toast.dataset.fold);
      if (!kept) {
        newest.set(toast.dataset.fold, toast);
        return;
      }
      kept.dataset.more = Number(kept.dataset.more || 0) + Number(toast.dataset.more || 0) + 1;
      toast.remove();
      const line = kept.querySelector(".toast-line") || kept.firstElementChild.appendChild(document.createElement("div"));
      line.className = "toast-line";
      line.textContent = `and ${kept.dataset.more} more like it, in the bell`;
    });
  }

  function startToasts() {
    foldToasts();
    document.querySelectorAll("[data-toast]").forEach(startToast);
  }

  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-toast-close]");
    if (close) close.closest("[data-toast]").remove();
  });
  document.addEventListener("htmx:load", startToasts);
  document.addEventListener("htmx:oobAfterSwap", startToasts);
  startToasts();

  // --- menus close on Escape, on a click elsewhere, and one at a time ---

  function closeMenus(except) {
    document.querySelectorAll("[data-menu][open]").forEach((menu) => {
      if (menu !== except) menu.open = false;
    });
  }

  document.addEventListener("click", (event) => closeMenus(event.target.closest("[data-menu]")));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = event.target.closest("[data-menu][open]");
    closeMenus(null);
    if (menu) menu.querySelector("summary").focus();
  });

  // --- the zone of this browser is a good first guess ---

  document.querySelectorAll("[data-own-zone]").forEach((input) => {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone && (input.value === "" || input.value === "UTC")) input.value = zone;
  });

  // --- the first field that is wrong gets the focus ---

  const wrong = document.querySelector(".field-wrong input, .field-wrong select, .field-wrong textarea");
  if (wrong) wrong.focus();

  // --- targets of a rule: "all my accounts" leaves nothing to choose ---

  document.querySelectorAll("[data-all-targets]").forEach((box) => {
    const input = box.querySelector("input[type=checkbox]");
    const rest = document.getElementById(box.dataset.allTargets);
    const update = () => rest.classList.toggle("is-idle", input.checked);
    input.addEventListener("change", update);
    update();
  });

  // --- filters fold away on a phone; without script they stay open ---

  function foldFilters() {
    const fold = document.querySelector("[data-folding] [data-fold]");
    if (!fold || !fold.hidden) return;
    fold.hidden = false;
    const filters = fold.closest("[data-folding]");
    const setOpen = (isOpen) => {
      filters.classList.toggle("is-folded", !isOpen);
      fold.setAttribute("aria-expanded", String(isOpen));
    };
    fold.addEventListener("click", () => setOpen(filters.classList.contains("is-folded")));
    setOpen(false);
  }

  // The first account brings the filters along without a new page.
  document.addEventListener("htmx:load", foldFilters);
  foldFilters();

  // --- a button of a menu hands the focus to its menu: what it did may take it away ---

  document.addEventListener("htmx:beforeRequest", (event) => {
    const menu = event.detail.elt.closest("[data-menu=closing]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
})();
