// The bell, the centre and what is chosen on the page of preferences; every page works without it.
(() => {
  "use strict";

  const MOST_SHOWN = 99;
  const REFRESH_MS = 600; // many at once are one look

  const bell = document.getElementById("bell");

  function bellCount() {
    const count = document.getElementById("bell-count");
    return count ? count.textContent.trim() : "";
  }

  function showUnread(unread) {
    const count = document.getElementById("bell-count");
    if (count) {
      count.textContent = unread > MOST_SHOWN ? `${MOST_SHOWN}+` : unread || "";
      count.dataset.status = unread ? "some" : "none";
    }
    showWords(unread);
  }

  function showWords(unread) {
    document.querySelectorAll("[data-unread-words]").forEach((place) => {
      place.textContent = unread ? `${unread} unread` : "All read";
    });
  }

  // What somebody reads in one place is read everywhere on the page.
  document.body.addEventListener("unread-counted", (event) => showUnread(event.detail.unread));

  // --- news: an open bell shows it by itself, the centre offers it ---

  let known = null;
  let timer = null;

  // What somebody is about to click does not move away: then a button offers the news.
  function refreshBell(isAsked) {
    timer = null;
    const menu = bell.querySelector("[data-menu]");
    const sheet = document.getElementById("bell-sheet");
    if (!menu.open) return;
    if (!isAsked && (sheet.matches(":hover") || sheet.contains(document.activeElement))) {
      const button = sheet.querySelector("[data-bell-news]");
      if (button) button.hidden = false;
      return;
    }
    htmx.ajax("GET", menu.querySelector("summary").getAttribute("hx-get"), { target: "#bell-sheet", swap: "innerHTML" });
  }

  function takeNews() {
    const button = document.querySelector("[data-inbox-news]");
    if (button) button.hidden = false;
    if (timer === null) timer = setTimeout(() => refreshBell(false), REFRESH_MS);
  }

  // The first count of a connection is no news, unless more came while it was away.
  function takeCount() {
    const count = Number.parseInt(bellCount() || "0", 10);
    if (known !== null && count > known) takeNews();
    known = count;
    if (!bellCount().endsWith("+")) showWords(count);
  }

  if (bell) {
    bell.addEventListener("htmx:wsBeforeMessage", (event) => {
      if (event.detail.message.startsWith("[")) setTimeout(takeCount, 0); // the page shows it first
      else takeNews();
    });
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-bell-news]")) refreshBell(true);
    if (event.target.closest("[data-inbox-news]")) htmx.trigger(document.body, "inbox-changed");
  });

  // --- the row after one that is deleted takes the focus ---

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target } = event.detail;
    if (!target.matches(".note") || !target.contains(document.activeElement)) return;
    const next = target.nextElementSibling || target.previousElementSibling;
    setTimeout(() => {
      if (target.isConnected || document.activeElement !== document.body) return;
      const row = next && next.matches(".note-day") ? next.nextElementSibling : next;
      ((row && row.querySelector("a, button")) || document.getElementById("main")).focus();
    }, 0);
  });

  // --- what is chosen and not saved is not lost by a click on a link ---

  let isDirty = false;

  function setDirty(value) {
    isDirty = value;
    document.querySelectorAll("[data-unsaved]").forEach((sign) => { sign.hidden = !value; });
  }

  document.addEventListener("input", (event) => {
    if (event.target.closest("form[data-guards]")) setDirty(true);
  });
  document.addEventListener("submit", (event) => {
    // Without htmx the form itself leaves the page; and so does what asks first.
    if (event.target.matches("form[data-guards]:not([hx-post]), form[data-leaves]")) isDirty = false;
  });
  document.body.addEventListener("edits-saved", () => setDirty(false));
  window.addEventListener("beforeunload", (event) => {
    if (isDirty) event.preventDefault();
  });

  // --- on a phone each kind is one line that says what is chosen, and unfolds ---

  function choiceWords(row) {
    const mode = row.querySelector(".choice-mode select");
    const how = mode ? mode.selectedOptions[0].textContent : "Always told";
    if (mode && mode.value !== "on") return how;
    const from = row.querySelector(".choice-from select");
    const parts = from && from.selectedIndex > 0 ? [how, from.selectedOptions[0].textContent] : [how];
    const ways = [...row.querySelectorAll(".choice-way label:has(:checked)")];
    const names = ways.map((way) => way.querySelector("[data-way]").textContent);
    return [...parts, ...(names.length ? names : ["in TradeGuard alone"])].join(" · ");
  }

  function showChoice(row) {
    row.querySelector("[data-choice-words]").textContent = choiceWords(row);
  }

  function foldChoices() {
    document.querySelectorAll(".choice-row").forEach((row) => {
      showChoice(row);
      if (row.matches(".field-wrong")) unfold(row, true);
    });
  }

  function unfold(row, isOpen) {
    row.classList.toggle("is-open", isOpen);
    row.querySelector("[data-unfold]").setAttribute("aria-expanded", isOpen);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-unfold]");
    if (button) unfold(button.closest(".choice-row"), button.getAttribute("aria-expanded") !== "true");
  });
  document.addEventListener("input", (event) => {
    const row = event.target.closest(".choice-row");
    if (row) showChoice(row);
  });
  document.addEventListener("htmx:afterSwap", () => {
    foldChoices();
    setDirty(isDirty);
  });
  foldChoices();

  // --- what is shown once is easily copied ---

  document.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-select-all]")) event.target.select();
  });

  // Browsers give the clipboard to sites with https and to localhost alone.
  function offerCopying() {
    if (!navigator.clipboard) return;
    document.querySelectorAll("[data-copies]").forEach((button) => { button.hidden = false; });
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    const field = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(field.value);
      button.querySelector("span").textContent = "Copied";
    } catch {
      field.select(); // it was refused: what is selected can be copied by hand
    }
  });
  document.addEventListener("htmx:afterSwap", offerCopying);
  offerCopying();

  // What lies beneath does not show yet what was done here.
  document.addEventListener("close", (event) => {
    if (event.target.querySelector && event.target.querySelector("[data-reloads]")) location.reload();
  }, true);
})();
