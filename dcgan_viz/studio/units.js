// Units: every map of both networks, with what excites it, what it agrees with, and what goes when it is zeroed.

import { askPictures, guarded, latest, made } from "./server.js";
import { canvas, make, number, paint } from "./tiles.js";

const SHOWN = 6;

export function show(view, about, address) {
  const values = address.values, layers = { generator: about.generator, discriminator: about.discriminator };
  const state = {
    side: values.get("side") === "discriminator" && about.discriminator.length ? "discriminator" : "generator",
    layer: Number(values.get("layer") ?? 0), sort: values.get("sort") ?? (about.seen.length ? "gain" : "effect0"), up: values.get("up") === "1", search: values.get("search") ?? "",
    zeroed: new Set((values.get("zeroed") ?? "").split(",").filter(Boolean).map(Number)),
  };
  let found = null, present = true;

  const network = make("select", { "aria-label": "network", onchange() { state.side = network.value; state.layer = 0; fresh(); } },
    ...Object.keys(layers).filter(side => layers[side].length).map(side => make("option", { selected: side === state.side }, side)));
  const layer = make("select", { "aria-label": "layer", onchange() { state.layer = Number(layer.value); fresh(); } });
  const search = make("input", { type: "search", placeholder: about.seen.length ? "an object or a map" : "a map", "aria-label": "search", value: state.search,
    oninput() { state.search = search.value; list(); } });
  const goes = make("select", { "aria-label": "what goes", onchange: () => list() },
    ...about.seen.map(name => make("option", { value: name, selected: name === "window" }, `what goes: ${name}`)));
  const waiting = make("p", { className: "hint", role: "status" });
  const meter = make("progress", { "aria-label": "the table is being made" });
  const listing = make("div", { className: "scroll" });
  const before = Array.from({ length: SHOWN }, (_, k) => canvas(`sample ${k + 1} as drawn`));
  const after = Array.from({ length: SHOWN }, (_, k) => canvas(`sample ${k + 1} without the maps`));
  const gone = make("p", { className: "hint", role: "status" });
  const command = make("code", { className: "command" });
  const clear = make("button", { type: "button", onclick: () => { state.zeroed.clear(); list(); } }, "clear");
  const pane = make("section", { "aria-label": "samples without the maps that are chosen" }, make("div", { className: "row" }, gone, clear),
    make("p", { className: "hint" }, "as drawn"), make("div", { className: "steps" }, ...before),
    make("p", { className: "hint" }, "without the maps"), make("div", { className: "steps" }, ...after), command);

  const chosenLayer = () => layers[state.side].find(l => l.number === state.layer) ?? null;
  function fresh() {
    const own = layers[state.side];
    if (!own.some(l => l.number === state.layer)) state.layer = state.side === "generator" && own.some(l => l.number === about.layer.number) ? about.layer.number : own[0].number;
    layer.replaceChildren(...own.map(l => make("option", { value: l.number, selected: l.number === state.layer }, `layer ${l.number}: ${l.channels} maps of ${l.size}×${l.size}`)));
    state.zeroed = new Set([...state.zeroed].filter(m => m < chosenLayer().channels));
    fetchTable();
  }
  async function fetchTable() {
    const { side, layer: own } = state, current = () => present && side === state.side && own === state.layer;
    found = null;
    pane.hidden = true;
    listing.replaceChildren();
    waiting.textContent = "making the table: each map is zeroed alone; it is kept for the next time";
    meter.hidden = false;
    meter.removeAttribute("value");
    const table = await guarded(() => made(`units/${side}/${own}`, undefined, ({ done, total }) => {
      if (current() && total) { meter.max = total; meter.value = done; }
    }, current));
    if (!current()) return;
    meter.hidden = true;
    waiting.textContent = "";
    if (!table) return;
    found = table;
    const { settings: s } = table;
    waiting.textContent = `${s.samples} samples, each map zeroed on ${s.zeroed_samples}. Threshold and object ${s.threshold_and_object}; chance: ${s.chance}.`;
    if (!about.seen.length) waiting.textContent = `${s.samples} samples, each map zeroed on ${s.zeroed_samples}. ${about.model} has no segmenter: which objects its maps agree with is not known.`;
    list();
  }
  // Pixels or the logit, and the one object that is chosen.
  function shownEffects() {
    const chosen = found.effects.indexOf(goes.value);
    return chosen > 0 ? [0, chosen] : [0];
  }
  const COLUMNS = [["map", "map", row => row.map], ["what excites it", null, null], ["activation", "activation", row => row.activation]];
  function columns() {
    const extra = found.objects.length ? [["agrees with", "object", row => row.object], ["IoU", "iou", row => row.iou], ["by chance", "chance", row => row.chance], ["beyond", "gain", row => row.gain]] : [];
    const effects = shownEffects().map(k => {
      const name = found.effects[k];
      return [{ pixels: "zeroed: grey levels", logit: "zeroed: logit" }[name] ?? `zeroed: ${name} gone`, `effect${k}`, row => row.effect[k]];
    });
    return [...COLUMNS, ...extra, ...effects];
  }
  function list() {
    if (!found) return;
    const all = columns(), column = all.find(([, key]) => key === state.sort) ?? all[0];
    const words = state.search.trim().toLowerCase();
    const rows = found.rows.filter(row => !words || String(row.map) === words || (row.object ?? "").includes(words));
    const value = row => column[2](row);
    rows.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null) || a.map - b.map;
      const order = typeof x === "string" ? x.localeCompare(y) || b.iou - a.iou : x - y;
      return (state.up ? order : -order) || a.map - b.map;
    });
    const head = all.map(([text, key]) => make("th", { scope: "col", ...(key === state.sort ? { "aria-sort": state.up ? "ascending" : "descending" } : {}) },
      key ? make("button", { type: "button", onclick() { state.up = state.sort === key ? !state.up : key === "map" || key === "object"; state.sort = key; list(); listing.querySelector(`th[aria-sort] button`)?.focus(); } }, text) : text));
    listing.replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows.map(line))));
    if (!rows.length) listing.append(make("p", { className: "hint" }, `no map of this layer agrees best with “${state.search}”`));
    address.say({ side: state.side, layer: state.layer, sort: state.sort, up: state.up ? 1 : null, search: state.search, zeroed: [...state.zeroed].join(",") });
    ablate();
  }
  function line(row) {
    const tall = state.side === "discriminator";
    const picture = make("img", { loading: "lazy", alt: `what excites map ${row.map}`, className: tall ? "tall" : "" });
    picture.width = 256; picture.height = tall ? 128 : 64;
    picture.src = `units/${state.side}/${state.layer}/${row.map}.png`;
    const zero = tall ? String(row.map) : make("label", {}, make("input", { type: "checkbox", checked: state.zeroed.has(row.map), "aria-label": `zero map ${row.map}`,
      onchange(event) {
        if (event.target.checked) state.zeroed.add(row.map); else state.zeroed.delete(row.map);
        event.target.closest("tr").dataset.zeroed = event.target.checked;
        address.say({ side: state.side, layer: state.layer, sort: state.sort, up: state.up ? 1 : null, search: state.search, zeroed: [...state.zeroed].join(",") });
        ablate();
      } }), ` ${row.map}`);
    const percents = k => !["pixels", "logit"].includes(found.effects[k]);
    const show_ = (value, k) => (value === null ? "–" : percents(k) ? `${number(100 * value, 0)} %` : number(value));
    return make("tr", { "data-zeroed": String(state.zeroed.has(row.map)) }, make("td", {}, zero), make("td", { className: "strip" }, picture), make("td", {}, number(row.activation)),
      ...(found.objects.length ? [make("td", {}, row.object), make("td", {}, number(row.iou)), make("td", {}, number(row.chance)), make("td", {}, number(row.gain))] : []),
      ...shownEffects().map(k => make("td", {}, show_(row.effect[k], k), make("br"), make("span", { className: "interval" },
        row.effect[k] === null ? "" : `[${show_(row.low[k], k)}, ${show_(row.high[k], k)}]`))));
  }
  const draw = latest(async maps => {
    const pictures = await askPictures("forget/draw", { maps, layer: state.layer, strokes: [], page: 0, count: SHOWN, seen: true });
    if (!present) return false;
    before.forEach((target, k) => paint(target, pictures, k));
    after.forEach((target, k) => paint(target, pictures, SHOWN + k));
    const said = pictures.objects.filter(o => o.removed !== null).map(o => `${o.object} ${number(100 * o.removed, 0)} %`);
    gone.textContent = maps.length ? `${maps.length} map${maps.length > 1 ? "s" : ""} zeroed; pixels gone in these ${SHOWN}: ${said.join(", ") || "not counted"}` : "Tick the box of a map to zero it.";
    return true;
  });
  function ablate() {
    pane.hidden = state.side !== "generator";
    goes.hidden = pane.hidden || !about.seen.length;
    if (pane.hidden) return;
    const maps = [...state.zeroed].sort((a, b) => a - b);
    clear.disabled = !maps.length;
    command.textContent = maps.length ? `dcgan-viz sample --model ${about.model} --zero-maps ${state.layer}:${maps.join(",")}` : `dcgan-viz sample --model ${about.model}`;
    draw(maps);
  }

  view.replaceChildren(make("div", { className: "row" }, network, layer, search, goes), waiting, meter, pane, listing);
  fresh();
  return () => { present = false; };
}
