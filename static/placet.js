// Small comforts. Every page works without this file.
"use strict";

const all = (selector) => document.querySelectorAll(selector);

// Copy what stands in a code box.
for (const button of navigator.clipboard ? all("[data-copy]") : []) {
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// Show a password while it is typed.
for (const button of all("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  const label = button.textContent;
  const show = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? button.dataset.shown : label;
  };
  button.hidden = false;
  button.addEventListener("click", () => show(input.type === "password"));
  input.form.addEventListener("submit", () => show(false));
}

for (const button of all("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

for (const button of all("[data-open]")) {
  button.hidden = false;
  button.addEventListener("click", () => document.getElementById(button.dataset.open).showModal());
}

// An impatient second press of the same button sends nothing twice.
for (const form of all("form[method=post]")) {
  let pressed = null;
  form.addEventListener("submit", (event) => {
    const button = event.submitter ?? form;
    if (pressed === button) event.preventDefault();
    pressed = button;
    setTimeout(() => { pressed = null; }, 2000);
  });
}

// Paper has no way to unfold: open everything for it, and fold again what was folded.
window.addEventListener("beforeprint", () => {
  for (const fold of all("details.disclosure:not([open])")) {
    fold.open = true;
    fold.dataset.folded = "yes";
  }
});
window.addEventListener("afterprint", () => {
  for (const fold of all("details[data-folded]")) {
    fold.open = false;
    delete fold.dataset.folded;
  }
});

// Single keys at the desk: data-key names the key, j and k walk through [data-row].
const keysSwitch = document.querySelector("[data-shortcuts]");
if (keysSwitch) {
  const stored = "placet-shortcuts";
  keysSwitch.checked = localStorage.getItem(stored) !== "off";
  keysSwitch.addEventListener("change", () => {
    localStorage.setItem(stored, keysSwitch.checked ? "on" : "off");
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, [contenteditable], dialog");
    if (!keysSwitch.checked || typing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "j" || event.key === "k") {
      const rows = [...all("[data-row]")];
      const here = rows.indexOf(document.activeElement);
      const next = event.key === "j" ? here + 1 : Math.max(here - 1, 0);
      rows[next]?.focus();
      return;
    }
    const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!target) return;
    event.preventDefault();
    if (target.matches("input, select, textarea")) target.focus();
    else target.click();
  });
}
