// What every view needs: the times that go by, the theme, the buttons that copy, and those that post.
"use strict";

const SPANS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
// The server's clock counts, since all times come from it.
const ahead = Number(meta("page-now")) - (performance.timeOrigin + performance.now()) / 1000;
const now = () => (performance.timeOrigin + performance.now()) / 1000 + ahead;

function span(seconds) {
  let rest = Math.max(0, Math.floor(seconds));
  const words = [];
  let units = 0;
  for (const [length, unit] of SPANS) {
    const number = Math.floor(rest / length);
    rest %= length;
    if (!number && !units) continue;
    if (number) words.push(`${number} ${unit}`);
    if (++units === 2) break;
  }
  return words.join(" ") || "0 s";
}

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
function clock(when, exact) {
  const time = when.toLocaleTimeString([], exact ? { ...CLOCK, second: "2-digit" } : CLOCK);
  const days = Math.abs(when.setHours(0, 0, 0, 0) - new Date(now() * 1000).setHours(0, 0, 0, 0)) / 864e5;
  if (days < 0.5) return time;
  const day = days < 5.5 ? when.toLocaleDateString("en", { weekday: "short" }) : when.toLocaleDateString("sv");
  return `${day} ${time}`;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  for (const one of document.querySelectorAll("time[data-since]")) put(one, span(now() - one.dataset.since));
  for (const one of document.querySelectorAll("time[data-ago]")) put(one, `${span(now() - one.dataset.ago)} ago`);
  for (const one of document.querySelectorAll("time[data-until]")) put(one, span(one.dataset.until - now()));
}

function localize() {
  tick();
  for (const one of document.querySelectorAll("time[data-clock]")) {
    put(one, clock(new Date(one.dateTime), one.dataset.clock === "s"));
  }
}

const THEMES = { "": "light", light: "dark", dark: "" };
function theme() {
  const button = document.getElementById("theme");
  const root = document.documentElement;
  const say = () => { const now = root.dataset.theme || "auto"; button.textContent = `◐ ${now}`; button.setAttribute("aria-label", `Theme: ${now}`); };
  button.addEventListener("click", () => {
    const next = THEMES[root.dataset.theme || ""];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    try { next ? localStorage.setItem("theme", next) : localStorage.removeItem("theme"); } catch { /* it lasts for this page */ }
    say();
    document.dispatchEvent(new Event("theme"));
  });
  button.hidden = false;
  say();
}

async function copy(button) {
  const text = button.parentElement.querySelector("code").textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

async function post(button) {
  const into = document.getElementById(button.dataset.into);
  button.disabled = true;
  into.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(button.dataset.post, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ ...Object.fromEntries(button.form ? new FormData(button.form) : []), token: meta("page-token") }),
    });
    if (!answer.ok) throw new Error(`the proxy answered ${answer.status}`);
    if (button.dataset.then) return location.reload();
    into.innerHTML = await answer.text();
  } catch (error) {
    const told = document.createElement("p");
    told.className = "none bad";
    told.textContent = `That did not work: ${error.message}.`;
    into.replaceChildren(told);
  } finally {
    button.disabled = false;
    into.removeAttribute("aria-busy");
  }
}

function showButtons() {
  for (const one of document.querySelectorAll("[data-copy][hidden], [data-post][hidden]")) one.hidden = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-post]");
  if (!button) return;
  if (button.dataset.post) post(button);
  else copy(button);
});
for (const name of ["htmx:after:swap", "htmx:sse:after:message"]) {
  document.addEventListener(name, () => { localize(); showButtons(); });
}
theme();
localize();
showButtons();
setInterval(tick, 1000);
