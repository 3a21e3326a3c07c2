// Keeps the page true: when something changes, its live parts are read again.
"use strict";

const PAUSE = 1500; // at most one read in so many milliseconds
const FALLBACK = 30000; // without live events
let due = null;
let last = 0;

function isBusy(part) {
  const fields = [...part.querySelectorAll("input:not([type=hidden])")];
  return fields.some((field) => field.value !== "" || field === document.activeElement);
}

function replace(part, fresh) {
  const found = fresh.getElementById(part.id);
  if (!found || isBusy(part) || part.innerHTML === found.innerHTML) return;
  const open = [...part.querySelectorAll("details")].map((item) => item.open);
  part.replaceChildren(...found.childNodes);
  part.querySelectorAll("details").forEach((item, index) => {
    if (open[index]) item.open = true;
  });
}

async function refresh() {
  due = null;
  last = Date.now();
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelectorAll("[data-live]").forEach((part) => replace(part, fresh));
}

function soon() {
  if (due !== null) return;
  due = setTimeout(() => refresh().catch(() => {}), Math.max(200, last + PAUSE - Date.now()));
}

if (document.querySelector("[data-live]")) {
  const events = new EventSource("/api/v1/events");
  events.addEventListener("transition", soon);
  events.addEventListener("reset", soon);
  events.onopen = () => {
    document.getElementById("stale").hidden = true;
    soon(); // something may have changed after this page was made, before anybody listened
  };
  events.onerror = () => {
    if (events.readyState !== EventSource.CLOSED) return;
    document.getElementById("stale").hidden = false;
    setInterval(soon, FALLBACK);
  };
}
