// Live pages: numbers come as JSON patches into marked cells, structure as fragments that htmx swaps.
// A patch is [id, text, status, value], shortened from the right; text is a list for several texts.
(() => {
  "use strict";

  const SILENT_MS = 1600; // the server says something every 500 ms
  const CHECK_MS = 200;
  const LONGEST_DELAY_MS = 2000;
  const POLL_MS = 2000;
  const FAST_POLL_MS = 1000;

  htmx.config.wsReconnectDelay = (retry) =>
    Math.min(LONGEST_DELAY_MS, 250 * 2 ** Math.min(retry, 3)) * (0.6 + 0.4 * Math.random());

  // The page tells which parts it holds, so that the server sends only what differs.
  htmx.createWebSocket = (url) => {
    const parts = Array.from(document.querySelectorAll("[data-live] [data-part]"));
    const have = parts.map((part) => `${part.id}:${part.dataset.part}`).join(",");
    const isLive = url.includes("/ws/group") || url.includes("/ws/account");
    return new WebSocket(isLive && have ? `${url}&have=${encodeURIComponent(have)}` : url, []);
  };

  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function applyPatch([id, text, status, value]) {
    const element = document.getElementById(id);
    if (!element) return;
    if (id === "accounts-structure" && element.textContent !== text) htmx.trigger(document.body, "accounts-changed");
    if (status !== undefined && status !== null) {
      const isNews = element.dataset.status !== status;
      element.dataset.status = status;
      if (isNews && id === "f-link") htmx.trigger(document.body, "connection-changed");
      if (isNews && status === "connected") noteConnected(element);
      if (isNews && status === "violated") htmx.trigger(document.body, "violation-seen");
    }
    if (Array.isArray(text)) {
      if (text.length === 0) return; // a frame: its colour is all it has
      const slots = element.querySelectorAll("[data-text]");
      text.forEach((each, index) => slots[index] && setText(slots[index], each));
    } else {
      setText(element.querySelector("[data-text]") || element, text);
    }
    const icon = element.querySelector("[data-icon]");
    if (icon && status) icon.setAttribute("href", `#i-${status}`);
    const bar = element.querySelector("progress");
    if (bar && value !== undefined) bar.value = value ?? 0;
    if (id === "page-title") document.title = text;
  }

  // --- what a page says when connections come up: once for all of a moment ---

  const GREET_MS = 1500;
  const connected = new Set();
  let greetTimer = null;

  function noteConnected(element) {
    const place = element.closest("[data-greet]");
    if (!place) return;
    connected.add(place.dataset.greet);
    clearTimeout(greetTimer);
    greetTimer = setTimeout(() => {
      const names = Array.from(connected, (id) => `id=${id}`).join("&");
      connected.clear();
      htmx.ajax("GET", `/accounts/greeting?${names}`, { target: "#toasts", swap: "beforeend" });
    }, GREET_MS);
  }

  function takeTitle() {
    const title = document.getElementById("page-title");
    if (title) document.title = title.textContent;
  }

  // --- the watchdog: a page that hears nothing must not look live ---

  const heard = new WeakMap();

  function alarm(panel, isLost) {
    if (panel.classList.contains("is-lost") === isLost) return;
    panel.classList.toggle("is-lost", isLost);
    const sign = panel.querySelector("[data-alarm]");
    if (sign) sign.hidden = !isLost;
    if (isLost && panel.dataset.mute === undefined) {
      document.title = `⚠ Connection lost – ${document.title.replace(/^⚠ Connection lost – /, "")}`;
    } else if (!isLost) {
      document.title = document.title.replace(/^⚠ Connection lost – /, "");
      takeTitle();
    }
  }

  function hear(panel) {
    heard.set(panel, performance.now());
    alarm(panel, false);
  }

  setInterval(() => {
    document.querySelectorAll("[data-live]").forEach((panel) => {
      if (!heard.has(panel)) heard.set(panel, performance.now());
      if (performance.now() - heard.get(panel) > SILENT_MS) alarm(panel, true);
    });
  }, CHECK_MS);

  document.addEventListener("htmx:wsClose", (event) => {
    if (!event.target.matches("[data-live]")) return;
    heard.set(event.target, -Infinity);
    alarm(event.target, true);
    const code = event.detail.event.code;
    if (code === 4401 && htmx.trigger(document.body, "signed-out")) location.reload(); // it will ask to sign in
    if (code === 4404) location.assign(event.target.dataset.goneTo || location.href);
    // The extension comes back after a failure only; a server that restarts says "normal" too.
    const socket = event.detail.socketWrapper;
    if (socket && [1000, 1001, 1005].includes(code)) {
      setTimeout(() => event.target.isConnected && socket.reconnect(), LONGEST_DELAY_MS / 2);
    }
  });

  document.addEventListener("htmx:wsBeforeMessage", (event) => {
    const panel = event.target;
    if (panel.matches("[data-live]")) hear(panel);
    const message = event.detail.message;
    if (!message.startsWith("[")) return;
    event.preventDefault();
    JSON.parse(message).forEach(applyPatch);
  });

  // --- nothing that has the focus is ever replaced: the server is asked again afterwards ---

  let postponed = null;

  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const target = event.detail.target;
    const active = document.activeElement;
    if (active === document.body || !target.contains(active) || target.id === "toasts") return;
    if (!target.hasAttribute("data-part")) return;
    event.preventDefault();
    postponed = target;
  });

  document.addEventListener("focusout", () => {
    setTimeout(() => {
      if (!postponed || postponed.contains(document.activeElement)) return;
      const panel = postponed.closest("[data-live]");
      postponed = null;
      const socket = panel && sockets.get(panel);
      if (socket) socket.send("resync");
    }, 0);
  });

  const sockets = new WeakMap();
  document.addEventListener("htmx:wsOpen", (event) => {
    sockets.set(event.target, event.detail.socketWrapper);
  });

  document.addEventListener("htmx:load", takeTitle);
  document.addEventListener("htmx:oobAfterSwap", takeTitle);

  // --- lists that ask for their numbers ---

  async function ask(address) {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    return answer.ok && !answer.redirected ? answer.json() : null;
  }

  const failures = new WeakMap();
  const MOST_FAILURES = 3;

  // What is asked for and not answered is not known: neither safe nor anything else.
  function forget(place) {
    place.querySelectorAll("[data-polled] [data-status]").forEach((cell) => applyPatch([cell.id, "Unknown", "unknown"]));
  }

  async function poll(place) {
    if (document.hidden) return;
    const address = place.dataset.poll;
    try {
      const answers = await Promise.all(address.split(" ").map(ask));
      if (answers.includes(null)) throw new Error("not answered");
      // Whoever searches, sorts or turns the page gets another table meanwhile.
      if (!place.isConnected || place.dataset.poll !== address) return;
      answers.flat().forEach(applyPatch);
      failures.delete(place);
    } catch {
      const count = (failures.get(place) || 0) + 1;
      failures.set(place, count);
      if (count >= MOST_FAILURES) forget(place);
    }
  }

  function pollAll(which = "[data-poll]") {
    document.querySelectorAll(which).forEach(poll);
  }

  pollAll();
  setInterval(() => pollAll("[data-poll]:not([data-poll-fast])"), POLL_MS);
  setInterval(() => pollAll("[data-poll-fast]"), FAST_POLL_MS);
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "account-table") pollAll();
  });
})();
