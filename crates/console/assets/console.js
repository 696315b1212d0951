// Comfort on top of pages that work without it: copying, a theme, ticking all, a question before what
// cannot be undone, a live preview, and parts of the page that the server sends anew.
"use strict";

const all = (selector, root = document) => root.querySelectorAll(selector);

function copying() {
  for (const button of all("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        // Over plain http there is no clipboard: it is selected, to be copied by hand.
        getSelection().selectAllChildren(source);
        button.textContent = "Selected";
      }
    });
  }
}

function theme() {
  const button = document.querySelector("[data-theme-toggle]");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* It lasts for this page. */ }
  });
}

function ticking() {
  for (const box of all("[data-tick-all]")) {
    box.hidden = false;
    box.addEventListener("change", () => {
      for (const other of all("tbody input[type=checkbox]", box.closest("table"))) {
        other.checked = box.checked;
      }
    });
  }
}

function asking() {
  for (const button of all("[data-confirm]")) {
    button.addEventListener("click", (event) => {
      if (!confirm(button.dataset.confirm)) event.preventDefault();
    });
  }
}

// What was open stays open.
function replace(part, html) {
  const open = new Set([...all("details[open]", part)].map((details) => details.dataset.key));
  part.innerHTML = html;
  for (const details of all("details[data-key]", part)) {
    if (open.has(details.dataset.key)) details.open = true;
  }
}

function following() {
  for (const place of all("[data-live]")) {
    if (!place.dataset.live) continue;
    const source = new EventSource(place.dataset.live);
    const badge = place.querySelector(".live");
    const shown = (on) => { if (badge) badge.hidden = !on; };
    source.addEventListener("open", () => shown(true));
    source.addEventListener("error", () => shown(false));
    source.addEventListener("part", (event) => {
      const part = document.getElementById(event.lastEventId);
      if (part) replace(part, event.data);
    });
    source.addEventListener("end", () => { source.close(); shown(false); });
    addEventListener("pagehide", () => source.close());
  }
}

function previewing() {
  const form = document.querySelector("form[data-preview]");
  const target = document.getElementById("preview");
  if (!form || !target) return;
  let waiting, asked = 0;
  const show = async () => {
    if (!form.elements.url.value) return;
    const number = ++asked;
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.dataset.preview, { method: "POST", body });
      const html = await answer.text();
      // Only the newest answer is shown; a session that has ended answers with another page.
      if (number === asked && !answer.redirected) target.innerHTML = html;
    } catch { /* The server is out of reach: what is shown stays. */ }
  };
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(show, 250); };
  form.addEventListener("input", soon);
  for (const button of all("[formtarget=preview]", form)) {
    button.addEventListener("click", (event) => { event.preventDefault(); show(); });
  }
  show();
}

for (const begin of [copying, theme, ticking, asking, following, previewing]) begin();
