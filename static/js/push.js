// Notifications of this browser while TradeGuard is not open, switched on and off on a page.
//
// The page has, anywhere:
//   <button type="button" hidden data-push-enable data-push-url="/notifications/push">   switches on
//   <button type="button" hidden data-push-disable>                                      switches off
//   <p data-push-state role="status"></p>                                                says how it is
// `data-push-url` answers GET with a token and takes POST; below it are /state and /off. The
// two buttons are shown as they make sense. After a change, `push-changed` is sent to the body, and
// unless somebody prevents it, the page is loaded anew.
(() => {
  "use strict";

  const enable = document.querySelector("[data-push-enable]");
  if (!enable) return;
  const disable = document.querySelector("[data-push-disable]");
  const state = document.querySelector("[data-push-state]");
  const url = enable.dataset.pushUrl || "/notifications/push";

  function say(sentence) {
    if (state) state.textContent = sentence;
  }

  function show(isOn) {
    enable.hidden = isOn;
    if (disable) disable.hidden = !isOn;
  }

  function base64url(buffer) {
    const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
    return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  async function ask(path, options) {
    // Whoever is signed out is led to the sign-in, which is no answer to a script.
    const answer = await fetch(url + path, { credentials: "same-origin", redirect: "manual", ...options });
    if (answer.type === "opaqueredirect") throw new Error("Sign in again: load this page anew.");
    const isJson = (answer.headers.get("Content-Type") || "").includes("application/json");
    const told = isJson ? await answer.json() : {};
    if (!answer.ok) throw new Error(told.error || "That did not work; load this page anew.");
    return told;
  }

  async function post(path, data) {
    const { csrf_token: token } = await ask("", {});
    return ask(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": token },
      body: JSON.stringify(data),
    });
  }

  async function subscription() {
    const registration = await navigator.serviceWorker.getRegistration("/");
    return registration ? registration.pushManager.getSubscription() : null;
  }

  function changed() {
    const goesOn = document.body.dispatchEvent(new CustomEvent("push-changed", { cancelable: true }));
    if (goesOn) window.location.reload();
  }

  async function refresh() {
    const current = await subscription();
    if (!current || Notification.permission !== "granted") {
      show(false);
      return;
    }
    const told = await post("/state", { endpoint: current.endpoint });
    show(told.channel !== null && told.is_working);
    if (told.channel && told.is_working) say(`This browser gets notifications, as “${told.name}”.`);
    else if (told.channel) say(`“${told.name}”, this browser, is switched off.`);
  }

  async function switchOn() {
    // First of all: browsers ask only as an answer to a click.
    const permission = await Notification.requestPermission();
    if (permission !== "granted") {
      throw new Error("This browser forbids notifications from here; its settings of this site allow them again.");
    }
    const { public_key: key } = await post("/state", {});
    const registration = await navigator.serviceWorker.register("/service-worker.js", { scope: "/" });
    await navigator.serviceWorker.ready;
    // Somebody else may have subscribed in this browser: what is theirs must not be shown to whoever
    // sits here now, so every subscription begins anew, with an address of its own.
    const before = await registration.pushManager.getSubscription();
    if (before) await before.unsubscribe();
    const now = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    try {
      await post("", {
        endpoint: now.endpoint,
        p256dh: base64url(now.getKey("p256dh")),
        auth: base64url(now.getKey("auth")),
        previous: before ? before.endpoint : "",
      });
    } catch (error) {
      await now.unsubscribe();
      throw error;
    }
  }

  async function switchOff() {
    const current = await subscription();
    if (!current) return;
    await post("/off", { endpoint: current.endpoint });
    await current.unsubscribe();
  }

  function onClick(button, action) {
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await action();
        changed();
      } catch (error) {
        say(error.message);
      } finally {
        button.disabled = false;
      }
    });
  }

  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) {
    show(false);
    enable.hidden = true;
    say(window.isSecureContext
      ? "This browser cannot show notifications of a site; on an iPhone or iPad, add TradeGuard to the home screen first."
      : "Browsers show notifications only of sites with https.");
    return;
  }
  onClick(enable, switchOn);
  if (disable) onClick(disable, switchOff);
  refresh().catch((error) => {
    show(false);
    say(error.message);
  });
})();
