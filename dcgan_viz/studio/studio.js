// The frame: views by their addresses.

import { ask, complain, forgetProblems, guarded } from "./server.js";
import { make } from "./tiles.js";

const view = document.getElementById("view");
const about = await guarded(() => ask("about"));
if (!about) throw new Error("no model");
document.getElementById("model").textContent = about.model;
document.getElementById("model").title = about.summary;

const framed = name => ({ show() {
  view.classList.add("framed");
  // The page says itself what is wrong, where it cannot be shown.
  return fetch(`${name}/`).then(async response => {
    if (!response.ok) throw new Error((await response.json()).problem);
    const frame = make("iframe", { src: `${name}/`, title: name });
    view.replaceChildren(frame);
    frame.addEventListener("load", () => {
      frame.contentWindow.focus();
      // What is pressed in a frame stays in it.
      frame.contentWindow.addEventListener("keydown", goTo);
    });
  });
} });

const views = {
  samples: () => import("./samples.js"),
  forget: () => import("./forget.js"),
  units: () => import("./units.js"),
  arithmetic: () => import("./arithmetic.js"),
  annotate: () => framed("annotate"),
  concepts: () => framed("concepts"),
  blind: () => framed("blind"),
};

let leave = null, current = null;

// The address is the view and what it shows: #/samples?hold=0:12
export const address = {
  get values() { return new URLSearchParams(location.hash.split("?")[1] ?? ""); },
  // Says what is shown, without a new entry in the browser's history.
  say(values) {
    const kept = Object.entries(values).filter(([, value]) => value !== null && value !== "" && value !== undefined);
    const query = new URLSearchParams(kept).toString();
    history.replaceState(null, "", `#/${current}${query ? `?${query}` : ""}`);
  },
};

async function show() {
  const name = location.hash.slice(2).split("?")[0] || "samples";
  leave?.();
  leave = null;
  forgetProblems();
  document.getElementById("speed").textContent = "";
  view.classList.remove("framed");
  view.replaceChildren(make("p", { className: "hint" }, "…"));
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  current = name;
  document.title = `${name} · ${about.model} · dcgan-viz`;
  if (!Object.hasOwn(views, name)) { view.replaceChildren(); complain(`there is no view ${name}: choose one above`); return; }
  try {
    const module = await views[name]();
    if (current === name) leave = await module.show(view, about, address);
  } catch (error) { view.replaceChildren(); complain(error.message); }
}

addEventListener("hashchange", show);
// Which key goes where: g and then a letter would be two; alt and a number is one.
function goTo(event) {
  const link = event.altKey && /^[1-7]$/.test(event.key) && document.querySelectorAll("nav a")[event.key - 1];
  if (link) { event.preventDefault(); link.click(); }
}
addEventListener("keydown", goTo);
show();
