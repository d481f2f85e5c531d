// Shows what TradeGuard tells by push while none of its pages is open. Served as /service-worker.js,
// since a worker serves only what lies below its own address. It caches nothing.
"use strict";

const SUBSCRIPTION_URL = "/notifications/push";
const CENTRE = "/notifications";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

function read(event) {
  try {
    const told = event.data.json();
    if (told && typeof told === "object") return told;
  } catch {
    // Browsers want something shown for every push, so what cannot be read is shown as well.
  }
  return {};
}

self.addEventListener("push", (event) => {
  const told = read(event);
  event.waitUntil(self.registration.showNotification(String(told.title || "TradeGuard"), {
    body: String(told.body || ""),
    // The same letter sent twice replaces itself, without another sound.
    tag: String(told.id || "tradeguard"),
    renotify: false,
    requireInteraction: told.priority === "urgent",
    timestamp: Number(told.at) || Date.now(),
    icon: "/static/icons/shield-192.png",
    data: { url: told.url },
  }));
});

// Wherever the message says: a click stays on this site.
function target(url) {
  try {
    const asked = new URL(String(url || CENTRE), self.location.origin);
    if (asked.origin === self.location.origin) return asked.href;
  } catch {
    // No address at all.
  }
  return new URL(CENTRE, self.location.origin).href;
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  // A window of its own: whatever is being written in one that is open stays.
  event.waitUntil(self.clients.openWindow(target((event.notification.data || {}).url)));
});

function base64url(buffer) {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

async function ask(path, options) {
  const answer = await fetch(SUBSCRIPTION_URL + path, { credentials: "same-origin", redirect: "manual", ...options });
  if (!answer.ok) throw new Error("Nobody is signed in here.");
  return answer.json();
}

// The push service gave this browser another address: the channel moves along, while its user is
// signed in here; otherwise it is switched off when the old address has ended.
async function renew(event) {
  const { csrf_token: token } = await ask("", {});
  const post = (path, data) => ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": token },
    body: JSON.stringify(data),
  });
  const previous = event.oldSubscription ? event.oldSubscription.endpoint : "";
  const { public_key: key, channel } = await post("/state", { endpoint: previous });
  if (channel === null) return; // of somebody else, or switched off here meanwhile
  const now = event.newSubscription || await self.registration.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: key,
  });
  await post("", {
    endpoint: now.endpoint,
    p256dh: base64url(now.getKey("p256dh")),
    auth: base64url(now.getKey("auth")),
    previous,
  });
}

self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event)));
