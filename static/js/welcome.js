// The first start, step by step. Without scripts the same form stands on the page from top to bottom.
import { say } from "./base.js";

const form = document.getElementById("first-run");
const rail = [...document.querySelectorAll("#rail > li")];
const steps = rail.map((entry) => document.getElementById(entry.dataset.step));
const [back, onward, finish] = ["back", "onward", "finish"].map((id) => document.getElementById(id));
const sprite = rail[0].querySelector("use").getAttribute("href").split("#")[0];
const told = rail.map((entry) => entry.querySelector("[data-tells]").textContent);
const value = (name) => new FormData(form).get(name);
const tells = [
  () => value("called") && `${value("called")}, administrator`,
  () => value("name"),
  () => form.querySelector("[name=preset]:checked")?.closest("label").querySelector(".preset-name").textContent,
  () => form.querySelector("[name=examples]:checked")?.closest("label").querySelector(".label").textContent,
];
let at = 0;

function show(number, focused) {
  at = number;
  for (const [index, step] of steps.entries()) {
    step.classList.toggle("is-shown", index === at);
    const entry = rail[index];
    const state = index < at ? "passed" : index === at ? "waiting" : "open";
    entry.querySelector("use").setAttribute("href", `${sprite}#status-${state}`);
    entry.querySelector("svg").setAttribute("class", `icon is-${state}`);
    entry.classList.toggle("is-todo", index > at);
    if (index === at) entry.setAttribute("aria-current", "step");
    else entry.removeAttribute("aria-current");
    entry.querySelector("[data-tells]").textContent = (index < at && tells[index]()) || told[index];
  }
  back.hidden = at === 0;
  onward.hidden = at === steps.length - 1;
  finish.hidden = !onward.hidden;
  onward.textContent = at === 2 && tells[2]() ? `Continue with ${tells[2]()}` : "Continue";
  if (focused) {
    (steps[at].querySelector("[aria-invalid]") ?? steps[at].querySelector("input:not([type=radio]), input:checked, input")).focus();
    say(`Step ${at + 1} of ${steps.length}: ${steps[at].querySelector("h1, h2").textContent}`);
  }
}

function isFilled(step) {
  const wrong = [...step.querySelectorAll("input")].find((input) => !input.checkValidity());
  wrong?.reportValidity();
  return wrong === undefined;
}

onward.addEventListener("click", () => { if (isFilled(steps[at])) show(at + 1, true); });
back.addEventListener("click", () => show(at - 1, true));
form.addEventListener("change", () => show(at, false));
form.addEventListener("keydown", (event) => {
  // Enter goes on; only the last step sends the form.
  if (event.key === "Enter" && event.target.matches("input") && at < steps.length - 1) {
    event.preventDefault();
    onward.click();
  }
});
form.noValidate = true;
form.addEventListener("submit", (event) => {
  const unfilled = steps.findIndex((step) => step.querySelector(":invalid"));
  if (unfilled === -1) return;
  event.preventDefault();
  show(unfilled, true);
  isFilled(steps[unfilled]);
});
// After a refusal the sentence that says so has the focus.
const refused = steps.findIndex((step) => step.querySelector("[aria-invalid]"));
show(Math.max(0, refused), document.querySelector("[data-arrived]") === null);
