// Settings: what is shown once is not asked for again by a reload, and a time begins in the reader's zone.
if (document.querySelector("[data-shown-once]")) history.replaceState(null, "", location.pathname);

const zone = document.querySelector("[data-own-zone]");
if (zone) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? zone.value;
