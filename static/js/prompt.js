// Two ticks on the timeline: the third takes the place of the first, and the button says which two. With fewer, the
// server chooses what to compare with, as it does without scripts.
const button = document.querySelector("[data-compares]");
const ticked = [];

function tick(box) {
  if (box.checked) ticked.push(box);
  else ticked.splice(ticked.indexOf(box), 1);
  if (ticked.length > 2) ticked.shift().checked = false;
  const numbers = ticked.map((each) => Number(each.value)).sort((a, b) => a - b);
  button.textContent = numbers.length === 2 ? `Compare ${numbers[0]} with ${numbers[1]}` : "Compare two";
}

if (button) {
  for (const box of document.querySelectorAll(".timeline input")) {
    box.checked = false;
    box.addEventListener("change", () => tick(box));
  }
}

// A tab is shown without loading the page anew: what leads to another version or card then keeps the tab that is open.
document.addEventListener("htmx:pushedIntoHistory", () => {
  const tab = new URL(location.href).searchParams.get("show");
  for (const link of document.querySelectorAll(".channel-card a[href^='?'], [aria-labelledby=timeline] a[href^='?']")) {
    const query = new URLSearchParams(link.getAttribute("href"));
    query.set("show", tab);
    link.setAttribute("href", `?${query}`);
  }
});
