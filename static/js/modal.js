// The one modal: any link or form that htmx points at #modal-body opens it; without script the link is a page.
(() => {
  "use strict";

  const modal = document.getElementById("modal");
  if (!modal) return;
  const body = document.getElementById("modal-body");
  const FIRST_WRONG = ".field-wrong :is(input, select, textarea):not([type=hidden])";
  const FIRST_FIELD = "[autofocus], form :is(input:not([type=hidden]), select, textarea):not(:disabled)";
  let opener = null;

  function focusWhatMatters(root) {
    const target = root.querySelector(FIRST_WRONG) || root.querySelector(FIRST_FIELD);
    if (target) target.focus();
  }

  function show() {
    document.body.classList.add("has-modal");
    if (!modal.open) modal.showModal();
    focusWhatMatters(body);
  }

  // The opener may have been drawn anew meanwhile: then its successor, or the page, takes the focus. It is kept:
  // the browser tells late that the modal has closed, when somebody may have opened the next one already.
  function giveFocusBack() {
    const same = opener && opener.isConnected ? opener : opener && opener.id && document.getElementById(opener.id);
    (same || document.getElementById("main")).focus();
  }

  function isDirty() {
    const form = body.querySelector("form[data-keeps]");
    // What the server sent back with its complaints was typed as well.
    return Boolean(form && (form.dataset.touched !== undefined || form.querySelector(".form-errors, .field-wrong")));
  }

  modal.addEventListener("close", () => {
    if (modal.open) return;
    document.body.classList.remove("has-modal");
    body.replaceChildren();
    giveFocusBack();
  });
  // Escape closes; with something typed it asks once, by a second Escape.
  modal.addEventListener("cancel", (event) => {
    if (!isDirty()) return;
    const form = body.querySelector("form[data-keeps]");
    if (form.dataset.warned !== undefined) return;
    event.preventDefault();
    form.dataset.warned = "";
    say(form, form.dataset.warning || "What you typed is not saved. Press Escape once more to drop it.");
  });
  modal.addEventListener("click", (event) => {
    const close = event.target.closest("[data-modal-close]");
    if (!close) return;
    event.preventDefault();
    modal.close();
  });
  document.addEventListener("input", (event) => {
    const form = event.target.closest && event.target.closest("form[data-keeps]");
    if (form) form.dataset.touched = "";
  });

  // The second half of a double click on "Save" must not press what lay beneath the modal.
  const DOUBLE_CLICK_MS = 600;
  let doneAt = -DOUBLE_CLICK_MS;
  document.body.addEventListener("modal-done", () => {
    if (!modal.open) return;
    doneAt = performance.now();
    modal.close();
  });
  ["mousedown", "mouseup", "click", "dblclick"].forEach((kind) => document.addEventListener(kind, (event) => {
    if (event.detail < 2 || performance.now() - doneAt > DOUBLE_CLICK_MS) return;
    event.preventDefault();
    event.stopPropagation();
  }, true));

  document.addEventListener("htmx:beforeRequest", (event) => {
    const { target, elt } = event.detail;
    if (target === body && !modal.contains(elt)) opener = elt.matches("form") ? elt.querySelector("button") : elt;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === body && body.childElementCount) show();
    else if (event.detail.target.id === "main") {
      const wrong = document.querySelector(`main ${FIRST_WRONG}`);
      if (wrong) wrong.focus();
    }
  });

  // --- with the last account its filters go, too: the page begins afresh ---

  document.addEventListener("htmx:afterSettle", () => {
    if (!document.getElementById("account-filters") || !document.querySelector("#account-table[data-first]")) return;
    htmx.ajax("GET", location.pathname, { target: "#main", select: "#main", swap: "outerHTML" });
  });

  // --- a table that is drawn anew keeps the focus, even when the row that had it is gone ---

  let hadFocus = false;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target } = event.detail;
    if (["account-table", "main"].includes(target.id)) hadFocus = target.contains(document.activeElement);
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const { elt } = event.detail;
    if (!hadFocus || !["account-table", "main"].includes(elt.id)) return;
    hadFocus = false;
    const region = (elt.id !== "main" && elt.querySelector("[role=region]")) || document.getElementById("main");
    if (document.activeElement === document.body) region.focus();
  });

  // --- what somebody typed survives whatever happens to the request ---

  function say(form, text, link) {
    const sign = form.querySelector("[data-trouble]");
    if (!sign) return;
    sign.textContent = text;
    if (link) sign.append(" ", link);
    sign.scrollIntoView({ block: "nearest" });
  }

  function signInLink() {
    const link = document.createElement("a");
    link.href = "/login";
    link.target = "_blank";
    link.rel = "noopener";
    link.textContent = "Sign in in another tab";
    return link;
  }

  function toast(text) {
    const box = document.getElementById("toasts");
    const item = document.createElement("div");
    item.className = "toast toast-error";
    item.dataset.toast = "";
    const words = document.createElement("span");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "toast-close";
    close.dataset.toastClose = "";
    close.setAttribute("aria-label", "Close");
    close.textContent = "×";
    item.append(words, close);
    box.append(item);
  }

  // Some of the events of htmx happen at the target; the request is always that of its own element.
  function formOf(event) {
    const { requestConfig, elt } = event.detail;
    return (requestConfig ? requestConfig.elt : elt).closest("form[data-keeps]");
  }

  function isSignIn(xhr) {
    return Boolean(xhr.responseURL) && new URL(xhr.responseURL).pathname === "/login";
  }

  const SIGNED_OUT = "You are signed out; what you typed is still here.";

  document.body.addEventListener("signed-out", (event) => {
    if (!isDirty()) return;
    event.preventDefault();
    say(body.querySelector("form[data-keeps]"), SIGNED_OUT, signInLink());
  });

  // A session that has ended answers with the page to sign in; it has no place inside of another.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isSignIn(event.detail.xhr)) return;
    event.detail.shouldSwap = false;
    const form = formOf(event);
    if (form) say(form, SIGNED_OUT, signInLink());
    else location.reload();
  });

  document.addEventListener("htmx:responseError", (event) => {
    const { status } = event.detail.xhr;
    const form = formOf(event);
    const text =
      status === 403 ? "This page is too old to be sent; what you typed is still here. Try again."
        : status === 404 ? "That account is not there any more."
          : status === 413 ? "That is too much to be sent."
            : "Something went wrong on the server; nothing was changed.";
    if (form) say(form, text, status === 403 ? signInLink() : null);
    else if (status === 403) location.reload();
    else toast(text);
  });

  document.addEventListener("htmx:sendError", (event) => {
    const form = formOf(event);
    const text = "TradeGuard does not answer; nothing was sent. Try again in a moment.";
    if (form) say(form, text);
    else if (event.detail.requestConfig && event.detail.requestConfig.verb !== "get") toast(text);
  });

  // Signing in elsewhere changes the token of every form; the cookie always has the present one.
  document.addEventListener("htmx:configRequest", (event) => {
    if (!event.detail.parameters.csrfmiddlewaretoken) return;
    const cookie = document.cookie.split("; ").find((each) => /^(__Host-)?tradeguard_csrf=/.test(each));
    if (cookie) event.detail.parameters.csrfmiddlewaretoken = cookie.split("=")[1];
    const form = formOf(event);
    const sign = form && form.querySelector("[data-trouble]");
    if (sign) sign.textContent = "";
  });

  // --- a chosen key needs no password ---

  function showCredentials(box) {
    const key = box.querySelector("[name=api_key]");
    const password = box.querySelector("[name=password]");
    if (!key || !password) return;
    if (box.dataset.own === undefined) box.dataset.own = box.dataset.chosen || key.value;
    const isNeeded = key.value === "" || (key.value === box.dataset.own && key.options[0].value !== "");
    password.closest(".field").hidden = !isNeeded;
    password.disabled = !isNeeded;
  }

  function showAllCredentials() {
    document.querySelectorAll("[data-credentials]").forEach(showCredentials);
  }

  document.addEventListener("change", (event) => {
    const box = event.target.closest && event.target.closest("[data-credentials]");
    if (box) showCredentials(box);
  });
  document.addEventListener("htmx:afterSwap", showAllCredentials);
  showAllCredentials();
})();
