// The editor beyond its form: what one writes is kept as a draft, buttons change the page in place, and texts are
// highlighted. Each text stays in its textarea; the server draws everything else, here as without scripts.
import { token } from "./base.js";

const IDLE = 1500; // ms without a key before a draft is kept
const AGAIN = 5000; // ms until it is tried again after a failure
const PLAIN = "plain-fields";
const PASSIVE = ["titled", "whose", "acts", "state", "previewed", "size", "notes", "samples", "try-plan", "try-notes"]; // drawn anew while one writes
const nonce = document.querySelector("script[nonce]")?.nonce ?? "";
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

let views = new Map(); // textarea → CodeMirror
let known = new Set();
let cm = null;
let dirty = false;
let stopped = false; // another window has the draft: a person decides first
let sending = Promise.resolve();
let underway = 0; // requests that are sent or wait for the one before
let pressed = Promise.resolve(); // until whoever presses something has let go
let timer = 0;
let saving = false; // Save was pressed, and its page is on its way

const work = () => document.getElementById("work");
const form = () => document.getElementById("editor");
const keepsDrafts = () => work().hasAttribute("data-keeps-drafts");

function say(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  setTimeout(() => { live.textContent = text; }, 50);
}

function tell(text, isWrong = false) {
  const kept = document.getElementById("kept");
  kept.textContent = text;
  kept.classList.toggle("is-wrong", isWrong);
  if (isWrong) say(text);
}

// --- Drafts ----------------------------------------------------------------------------------------------------------
function changed() {
  if (!dirty && keepsDrafts() && !stopped) tell("Not saved yet.");
  dirty = true;
  if (!keepsDrafts() || stopped) return;
  clearTimeout(timer);
  timer = setTimeout(keep, IDLE);
}

/** Send the form, one request after the other; the page that answers, or null where none came. */
function send(act, address = form().action) {
  underway += 1;
  const answer = sending.then(() => post(act, address)).finally(() => { underway -= 1; });
  sending = answer.catch(() => null);
  return answer;
}

async function post(act, address) {
  write();
  dirty = false;
  const body = new URLSearchParams(new FormData(form()));
  body.set("act", act);
  body.set("csrfmiddlewaretoken", token() ?? body.get("csrfmiddlewaretoken"));
  const keepalive = document.visibilityState === "hidden" && body.toString().length < 60_000;
  try {
    const answer = await fetch(address, { method: "POST", body, keepalive, headers: { "HX-Request": "true" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (page.getElementById("work")) return { page, isRefused: !answer.ok };
    failed(answer.redirected ? "You are signed out. Sign in again in another window; your text is still here." : null);
  } catch {
    failed(null);
  }
  return null;
}

function failed(text) {
  dirty = true;
  tell(text ?? "Not saved: PromptForge did not answer. It is tried again; your text is still here.", true);
  clearTimeout(timer);
  if (keepsDrafts()) timer = setTimeout(keep, AGAIN);
}

async function keep() {
  clearTimeout(timer);
  if (!keepsDrafts()) return say("Save version 1: before that, nothing is kept.");
  const answer = await send("draft");
  if (answer) await refresh(answer);
}

/** Take over what the server draws anew, without touching what is being written or moving what is being pressed. */
async function refresh({ page, isRefused }) {
  if (!isRefused && keepsDrafts()) document.getElementById("seen").value = page.getElementById("seen").value;
  await pressed;
  for (const id of [...PASSIVE, ...[...document.querySelectorAll(".mends")].map((each) => each.id)]) {
    const here = document.getElementById(id);
    const there = page.getElementById(id);
    if (here && there && !here.contains(document.activeElement) && here.innerHTML !== there.innerHTML) {
      here.replaceWith(document.adoptNode(there));
    }
  }
  const names = (values) => [...values.querySelectorAll("[name=s-name]")].map((each) => each.value).join();
  for (const id of ["sample-values", "try-values"]) {
    const here = document.getElementById(id);
    const there = page.getElementById(id);
    if (here && there && names(here) !== names(there) && !here.contains(document.activeElement)) {
      here.replaceWith(document.adoptNode(there));
    }
  }
  recognise(page.getElementById("editor").dataset.known);
  if (isRefused) {
    dirty = true;
    stopped = page.getElementById("two-windows") !== null;
    return tell(`Not saved. ${page.getElementById("refusal").textContent}`, true);
  }
  if (keepsDrafts()) showTime(page.getElementById("kept").dataset.at);
}

function showTime(at) {
  if (at && !dirty) tell(`Draft saved ${clock.format(new Date(at))}.`);
}

// --- Buttons ---------------------------------------------------------------------------------------------------------
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.target !== form() || !button) return;
  write();
  if (button.value === "save" && !underway) {
    if (saving) return event.preventDefault();
    saving = true;
    clearTimeout(timer);
    dirty = false;
    return;
  }
  event.preventDefault();
  if (button.value === "save") return save();
  if (button.value === "draft") keep();
  else if (button.hasAttribute("formaction")) ask(button);
  else change(button.value);
});

/** Save once the draft that is under way is kept: the page would not know of it, and take it for another window's. */
async function save() {
  clearTimeout(timer);
  while (underway) await sending;
  form().requestSubmit(form().querySelector("[value=save]"));
}

/** Have a button's work done. Nobody writes meanwhile: the page that answers takes the place of all that stands here. */
async function change(act) {
  clearTimeout(timer);
  const inHand = document.activeElement;
  work().inert = true;
  const answer = await send(act);
  if (!answer || answer.isRefused) {
    work().inert = false;
    inHand.focus();
    return answer && refresh(answer);
  }
  stopped = false;
  const open = [...document.querySelectorAll("details[id][open]")].map((each) => each.id);
  const fresh = document.adoptNode(answer.page.getElementById("work"));
  for (const view of views.values()) view.destroy();
  views = new Map();
  work().replaceWith(fresh);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  dirty = !keepsDrafts();
  enhance();
  showTime(document.getElementById("kept").dataset.at);
  settle(act);
}

/** Have a model asked with the draft; its answers come into the same place, which htmx then asks for. */
async function ask(button) {
  clearTimeout(timer);
  const before = document.getElementById("seen").value;
  const place = document.getElementById("try");
  const inHand = place.contains(document.activeElement) ? document.activeElement : null;
  place.inert = true; // nobody writes there meanwhile: what answers takes its place
  const answer = await send(button.value, button.formAction);
  if (!answer) {
    place.inert = false;
    return inHand?.focus();
  }
  const fresh = document.adoptNode(answer.page.getElementById("try"));
  // What was refused may be the asking alone: then the draft is kept, and the page knows of it by another moment.
  const isKept = answer.page.getElementById("seen").value !== before;
  refresh({ page: answer.page, isRefused: answer.isRefused && !isKept });
  document.getElementById("try").replaceWith(fresh);
  window.htmx.process(fresh);
  if (inHand) document.getElementById("try-button").focus();
  say(answer.isRefused ? answer.page.getElementById("refusal").textContent : "The model is asked.");
}

/** Where the focus goes after a button has changed the page, and what is said. */
function settle(act) {
  const [verb, rest] = act.split(":");
  const messages = [...document.querySelectorAll(".message")];
  const at = messages.findIndex((each) => each.querySelector("textarea").hasAttribute("autofocus"));
  const message = messages[at];
  if ((verb === "up" || verb === "down") && message) {
    const again = message.querySelector(`button[value^="${verb}:"]`);
    (again.disabled ? message.querySelector('button[value^="up:"]:enabled, button[value^="down:"]:enabled') : again).focus();
    say(`Moved to place ${at + 1} of ${messages.length}.`);
  } else if ((verb === "add" || verb === "remove") && message) {
    const area = message.querySelector("textarea");
    (views.get(area) ?? area).focus();
    say(verb === "add" ? `Message ${at + 1} is added.` : `Removed. ${messages.length} left.`);
  } else if (verb === "declare") {
    const rows = document.querySelectorAll("#declarations [name='v-type']");
    rows[rows.length - 1]?.focus();
    say(`${rest ?? "The variable"} is declared.`);
  } else {
    document.querySelector("h1").setAttribute("tabindex", "-1");
    document.querySelector("h1").focus();
    say("Done. The draft is saved.");
  }
}

document.addEventListener("pointerdown", () => {
  pressed = new Promise((released) => {
    for (const end of ["pointerup", "pointercancel"]) {
      document.addEventListener(end, () => setTimeout(released), { once: true });
    }
  });
});

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-leaves]");
  if (!link || !dirty) return;
  if (link.dataset.leaves === "drop") {
    dirty = false;
    return;
  }
  event.preventDefault();
  await keep();
  if (!dirty) location.assign(link.href);
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
    event.preventDefault();
    keep().then(() => { if (!dirty) say(document.getElementById("kept").textContent); });
  }
});

window.addEventListener("beforeunload", (event) => {
  if (dirty) event.preventDefault();
});
// The browser may show this page again from its memory: then it can be saved again.
window.addEventListener("pageshow", () => { saving = false; });
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden" && dirty && keepsDrafts() && !stopped) keep();
});
document.addEventListener("input", (event) => {
  if (event.target.closest?.("#editor") && !event.target.closest(".cm-editor, .keep-as") && event.target.name) changed();
});

// --- Texts -----------------------------------------------------------------------------------------------------------
/** Bring what stands in CodeMirror into the fields that are sent. */
function write() {
  for (const [area, view] of views) area.value = view.state.doc.toString();
}

function recognise(names) {
  form().dataset.known = names;
  const now = new Set(names.split(" "));
  if (now.size === known.size && [...now].every((name) => known.has(name))) return;
  known = now;
  for (const view of views.values()) view.dispatch({ effects: view.marks.reconfigure(marks()) });
}

/** Variables and includes stand out; a variable that nobody declared stands out as such. */
function marks() {
  const decorator = new cm.MatchDecorator({
    regexp: /(?<!\\)\{\{[ \t]*(>?)[ \t]*([^{}\r\n]*?)[ \t]*\}\}/g,
    decoration: ([, include, name]) =>
      cm.Decoration.mark({ class: include ? "include" : known.has(name) ? "variable" : "variable is-unknown" }),
  });
  return cm.ViewPlugin.define(
    (view) => ({
      decorations: decorator.createDeco(view),
      update(change) { this.decorations = decorator.updateDeco(change, this.decorations); },
    }),
    { decorations: (plugin) => plugin.decorations },
  );
}

/** A character that does not show, as everywhere else: by its name and code point. */
function chip(code, name) {
  const shown = document.createElement("span");
  shown.className = "hidden-char";
  const point = document.createElement("code");
  point.textContent = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  shown.append(`${name && !/^Control/.test(name) ? name : "hidden character"} `, point);
  return shown;
}

function highlight(area) {
  // CodeMirror's own rules stand in no layer, so that only its own kind of rules comes after them.
  const look = cm.EditorView.theme({
    "&.cm-focused": { outline: "none" },
    ".cm-scroller": { fontFamily: "inherit", lineHeight: "inherit", overflowX: "hidden" },
    ".cm-content": { padding: "14px 0", caretColor: "var(--ink)" },
    ".cm-line": { padding: "0 16px", unicodeBidi: "plaintext" },
  });
  const compartment = new cm.Compartment();
  const view = new cm.EditorView({
    state: cm.EditorState.create({
      doc: area.value,
      extensions: [
        cm.EditorView.cspNonce.of(nonce),
        look,
        cm.EditorView.lineWrapping,
        cm.EditorView.perLineTextDirection.of(true),
        cm.EditorView.contentAttributes.of({
          "aria-label": area.getAttribute("aria-label"),
          "aria-describedby": area.getAttribute("aria-describedby"),
          spellcheck: "true",
        }),
        cm.highlightSpecialChars({
          render: chip,
          addSpecialChars: /[\u{e0000}-\u{e007f}\u202a-\u202c\u2060-\u2065\u2068\u206a-\u206f]/u,
        }),
        cm.history(),
        cm.keymap.of([...cm.standardKeymap, ...cm.historyKeymap]),
        compartment.of(marks()),
        cm.EditorView.updateListener.of((change) => { if (change.docChanged) changed(); }),
      ],
    }),
  });
  view.marks = compartment;
  area.hidden = true;
  area.after(view.dom);
  views.set(area, view);
}

function unhighlight() {
  write();
  for (const [area, view] of views) {
    area.hidden = false;
    view.destroy();
  }
  views = new Map();
}

async function enhance() {
  known = new Set(form().dataset.known.split(" "));
  const box = document.getElementById(PLAIN);
  box.checked = localStorage.getItem(PLAIN) !== null;
  box.addEventListener("change", () => {
    if (box.checked) localStorage.setItem(PLAIN, "1");
    else localStorage.removeItem(PLAIN);
    if (box.checked) unhighlight();
    else highlightAll();
  });
  if (!box.checked) await highlightAll();
}

async function highlightAll() {
  try {
    cm ??= await import(work().dataset.codemirror);
  } catch {
    return; // the fields work as they are
  }
  const inHand = document.activeElement;
  const areas = [...document.querySelectorAll(".message textarea[name=text]")];
  for (const area of areas) {
    if (views.has(area)) continue;
    highlight(area);
    if (area !== inHand) continue;
    const view = views.get(area);
    view.focus();
    view.dispatch({ selection: { anchor: area.selectionStart, head: area.selectionEnd } });
  }
}

if (document.querySelector("[data-arrived].is-failed")) dirty = true;
showTime(document.getElementById("kept").dataset.at);
enhance();
