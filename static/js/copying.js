// Pages of copy trading: the wizard's steps, and rows of the ledger that stay open while it moves.
(() => {
  "use strict";

  // --- the wizard: without script it is one long form ---

  const LAST_STEP = 5;

  function startWizard(form) {
    const parts = Array.from(form.querySelectorAll("[data-part]"));
    const [back, next, finish] = ["back", "next", "finish"].map((name) => form.querySelector(`[data-${name}]`));
    const steps = form.querySelector("[data-steps]");
    let step = Math.min(Number(form.dataset.step) || 1, LAST_STEP);
    let furthest = step;

    // What a step cannot go on without; null where nothing is missing.
    function missing(number) {
      const { provider, whose, follower, follower_id: otherId, sizing, fixed_lots: lots, risk_fraction: risk } = form.elements;
      const needed = {
        1: [[provider, "Choose the account whose trades are copied."]],
        2: whose.value === "another"
          ? [[otherId, "Type or paste the id of the account that copies."]]
          : [[follower, "Choose the account that copies."]],
        3: sizing.value === "fixed_lot" ? [[lots, "Say how many lots each copy has."]]
          : sizing.value === "risk_percent" ? [[risk, "Say which part of the equity a copy may lose at its stop."]] : [],
      }[number] || [];
      return needed.find(([field]) => field.value.trim() === "") || null;
    }

    // The ids of what is said of a field: its help, its errors.
    function described(field) {
      return (field.getAttribute("aria-describedby") || "").split(" ").filter((id) => id && id !== `${field.id}_error`);
    }

    function describe(field, ids) {
      if (ids.length) field.setAttribute("aria-describedby", ids.join(" "));
      else field.removeAttribute("aria-describedby");
    }

    function complain([field, sentence]) {
      const box = field.closest(".field");
      box.classList.add("field-wrong");
      field.setAttribute("aria-invalid", "true");
      if (!box.querySelector(".errors")) {
        const list = Object.assign(document.createElement("ul"), { className: "errors", id: `${field.id}_error` });
        list.append(Object.assign(document.createElement("li"), { textContent: sentence }));
        (field.closest(".with-suffix") || field).after(list);
        describe(field, [list.id, ...described(field)]);
      }
      field.focus();
    }

    function show(number, isMoved) {
      step = number;
      furthest = Math.max(furthest, step);
      parts.forEach((part) => { part.hidden = Number(part.dataset.part) !== step; });
      back.hidden = step === 1;
      next.hidden = step === LAST_STEP;
      finish.hidden = step !== LAST_STEP;
      steps.querySelectorAll("[data-go]").forEach((button) => {
        const at = Number(button.dataset.go);
        button.disabled = at > furthest;
        button.classList.toggle("is-done", at < step);
        if (at === step) button.setAttribute("aria-current", "step");
        else button.removeAttribute("aria-current");
      });
      if (isMoved && step === 3) htmx.trigger(document.body, "example");
      if (isMoved && step === LAST_STEP) htmx.trigger(document.body, "review");
      if (isMoved) {
        parts[step - 1].querySelector("h2").focus({ preventScroll: true });
        form.scrollIntoView({ block: "nearest" });
      }
    }

    function go(number) {
      const wrong = [1, 2, 3].find((each) => each < number && missing(each));
      show(wrong || number, true);
      if (wrong) complain(missing(wrong));
    }

    // With the first key: later, on leaving the field, the button would move away under the click.
    form.addEventListener("input", (event) => {
      const field = event.target.closest(".field-wrong");
      if (!field) return;
      field.classList.remove("field-wrong");
      field.querySelectorAll(".errors").forEach((each) => each.remove());
      event.target.removeAttribute("aria-invalid");
      describe(event.target, described(event.target));
    });
    // Enter in a field goes on, rather than finishing what was not read yet.
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.target.matches("input") || step === LAST_STEP) return;
      event.preventDefault();
      go(step + 1);
    });
    next.addEventListener("click", () => go(step + 1));
    back.addEventListener("click", () => show(step - 1, true));
    steps.addEventListener("click", (event) => {
      const button = event.target.closest("[data-go]");
      if (button) go(Number(button.dataset.go));
    });
    steps.hidden = false;
    show(step, false);
  }

  document.querySelectorAll("[data-wizard]").forEach(startWizard);

  // --- an example that came before the hosts had answered asks once more ---

  const AGAIN_MS = 1500;
  document.addEventListener("htmx:afterSettle", (event) => {
    const { target } = event.detail;
    if (!target.matches(".preview") || !target.querySelector("[data-again]")) return;
    setTimeout(() => { if (target.querySelector("[data-again]")) htmx.trigger(target, "again"); }, AGAIN_MS);
  });

  // --- rows of the ledger that are open stay so, and what they show moves as well ---

  function openEvents(ledger) {
    return Array.from(ledger.querySelectorAll("details[data-event][open]"), (each) => each.dataset.event);
  }

  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.matches("[data-ledger]")) event.detail.parameters.open = openEvents(event.detail.elt).join(",");
  });

  // "toggle" does not bubble. What the server sends open needs no second look.
  document.addEventListener("toggle", (event) => {
    const row = event.target;
    if (!row.matches("details[data-event]") || !row.open || row.querySelector(".copies")) return;
    htmx.trigger(row.closest("[data-ledger]"), "ledger-open");
  }, true);

  // What somebody has just pressed is not drawn anew before it is answered; what has the focus keeps it.
  const MOVING = "[data-moving]";
  let focused = "";
  let folds = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target } = event.detail;
    if (!target.matches(MOVING)) return;
    if (target.querySelector(".htmx-request")) event.detail.shouldSwap = false;
    focused = target.contains(document.activeElement) ? document.activeElement.id : "";
    folds = Array.from(target.querySelectorAll("details.cascade"), (each) => [each.id, each.open]);
  });
  document.addEventListener("htmx:afterSettle", () => {
    folds.forEach(([id, isOpen]) => {
      const fold = document.getElementById(id);
      if (fold) fold.open = isOpen;
    });
    folds = [];
    const again = focused && document.getElementById(focused);
    focused = "";
    if (again && document.activeElement === document.body) again.focus({ preventScroll: true });
  });

  // --- a part that asks and is not answered must not look live ---

  const CHECK_MS = 500;
  const PATIENCE_MS = 1000; // on top of two turns
  const heard = new Map();

  function alarm(part, isLost) {
    if (part.classList.contains("is-lost") === isLost) return;
    part.classList.toggle("is-lost", isLost);
    const sign = part.querySelector("[data-alarm]");
    if (sign) sign.hidden = !isLost;
  }

  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    const { target } = detail; // itself; what sent the request may be gone by now
    if (!detail.successful || !target.matches(MOVING)) return;
    heard.set(target.id, Date.now());
    alarm(target, false);
  });

  setInterval(() => {
    document.querySelectorAll(`${MOVING}[hx-get]`).forEach((part) => {
      if (!heard.has(part.id)) heard.set(part.id, Date.now());
      const longest = Number(part.dataset.moving) * 2000 + PATIENCE_MS;
      alarm(part, Date.now() - heard.get(part.id) > longest);
    });
  }, CHECK_MS);
})();
