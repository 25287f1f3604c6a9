// The changes one after the other, by the button as by the key j.
const next = document.querySelector("[data-next]");
next?.addEventListener("click", () => {
  const changes = [...document.querySelectorAll("[data-stop]")];
  if (changes.length === 0) return;
  const seen = changes.findIndex((change) => change.classList.contains("is-shown"));
  changes[seen]?.classList.remove("is-shown");
  const shown = changes[(seen + 1) % changes.length];
  shown.classList.add("is-shown");
  shown.scrollIntoView({ block: "center" });
});
