// What every page does: keys, menus, the live region, copying, and moments in the reader's zone.
// Every page reads and decides without it.

const root = document.documentElement;
root.classList.add("scripted");

/** Tell a screen reader what happened, once the page has settled. */
export function say(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  setTimeout(() => { live.textContent = text; }, 50);
}

/** Show for a few seconds what may be missed. */
export function toast(text) {
  const shown = document.createElement("div");
  shown.className = "toast";
  shown.textContent = text;
  document.getElementById("toasts").append(shown);
  say(text);
  setTimeout(() => shown.remove(), 4000);
}

// --- What one arrives with -------------------------------------------------------------------------------------------
document.querySelector("[data-arrived]")?.focus();

// --- Sending a form --------------------------------------------------------------------------------------------------
/** The token of forms as the browser has it by now: a sign-in in another window has made a new one. */
export function token() {
  return document.cookie.match(/(?:^|; )csrftoken=(\w+)/)?.[1];
}

document.addEventListener("submit", (event) => {
  const field = event.target.querySelector("[name=csrfmiddlewaretoken]");
  if (field) field.value = token() ?? field.value;
}, { capture: true });

// One sending for one press.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-once")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
// The browser may show this page again from its memory: then the form can be sent again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once]")) delete form.dataset.sent;
});

// --- Menus and dialogs -----------------------------------------------------------------------------------------------
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except && !menu.contains(except)) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  closeMenus(event.target.closest("details.menu"));
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    event.preventDefault();
    const open = document.getElementById(opener.dataset.opens).classList.toggle("is-open");
    opener.setAttribute("aria-expanded", String(open));
  }
  const dialog = event.target.closest("[data-dialog]");
  if (dialog) document.getElementById(dialog.dataset.dialog).showModal();
  const copy = event.target.closest("[data-copy]");
  if (copy) copyText(copy);
});

async function copyText(button) {
  const source = button.dataset.copy ? document.getElementById(button.dataset.copy) : null;
  try {
    await navigator.clipboard.writeText(source ? source.textContent : location.href);
    toast(source ? "Copied" : "Link copied");
  } catch {
    toast("The browser does not let this page copy. Select the text instead.");
  }
}

// --- Keys ------------------------------------------------------------------------------------------------------------
const LETTERS_OFF = "letters-off";
const singles = document.getElementById("single-keys");
singles.checked = localStorage.getItem(LETTERS_OFF) === null;
singles.addEventListener("change", () => {
  if (singles.checked) localStorage.removeItem(LETTERS_OFF);
  else localStorage.setItem(LETTERS_OFF, "1");
});

const GO = { i: "inbox", p: "prompts", h: "history", o: "outputs" };
let going = false;

function writing(target) {
  return target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], dialog[open]");
}

/** Move the focus among what the page lists: rows, or the changes of a diff. */
function step(by) {
  const stops = [...document.querySelectorAll("[data-stop]")];
  if (stops.length === 0) return;
  const at = stops.findIndex((stop) => stop === document.activeElement || stop.contains(document.activeElement));
  const next = stops[at === -1 ? (by > 0 ? 0 : stops.length - 1) : Math.min(Math.max(at + by, 0), stops.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const open = document.querySelector("details.menu[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target) || !singles.checked) return;
  const key = event.key;
  if (going) {
    going = false;
    const place = GO[key] && document.querySelector(`[data-place="${GO[key]}"]`);
    if (place) place.click();
    return;
  }
  if (key === "/") {
    const find = document.querySelector("[data-find]") ?? document.getElementById("find");
    if (find) { event.preventDefault(); find.focus(); find.select(); }
  } else if (key === "?") {
    document.getElementById("keys").showModal();
  } else if (key === "g") {
    going = true;
    setTimeout(() => { going = false; }, 1500);
  } else if (key === "j") step(1);
  else if (key === "k") step(-1);
  else {
    const doing = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (doing) { event.preventDefault(); doing.matches("textarea, input") ? doing.focus() : doing.click(); }
  }
});

// --- Moments in the reader's zone ------------------------------------------------------------------------------------
const local = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });
function localise(within) {
  for (const moment of within.querySelectorAll("time[datetime]")) {
    moment.title = `${local.format(new Date(moment.dateTime))}; ${moment.title.split("; ").at(-1)}`;
  }
}
localise(document);

// --- Swaps: what came is announced by its own words ------------------------------------------------------------------
document.addEventListener("htmx:afterSwap", (event) => {
  localise(event.target);
  const spoken = event.target.matches("[data-says]") ? event.target : event.target.querySelector("[data-says]");
  if (spoken) say(spoken.dataset.says);
});
/** Of what the page asks by itself, nothing is told when it fails: it asks again in a moment. */
function tellWhoAsked(event, text) {
  if (event.detail.requestConfig.triggeringEvent) toast(text);
}
document.addEventListener("htmx:sendError", (event) => tellWhoAsked(event, "PromptForge did not answer. What you typed is still here; try again."));
document.addEventListener("htmx:responseError", (event) => tellWhoAsked(event, "This did not work, and nothing was changed. Try again in a moment."));
