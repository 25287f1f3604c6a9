// Downloading and printing the codes that stand on the page. Without this module they can be copied, and printed by the browser.
const codes = [...document.querySelectorAll(".codes code")].map((code) => code.textContent);

const download = document.querySelector("[data-download]");
download.hidden = false;
download.addEventListener("click", () => {
  const text = `PromptForge, ${location.host}: recovery codes, each good once\n\n${codes.join("\n")}\n`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = download.dataset.download;
  link.click();
  URL.revokeObjectURL(link.href);
});

const print = document.querySelector("[data-print]");
print.hidden = false;
print.addEventListener("click", () => window.print());
