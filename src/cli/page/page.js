// What people do with the page.
function describe(i) {
  const frame = frames[view.frame], [arena, pool, block, blocks, bytes] = frame.where[i];
  const used = frame.used[i], room = frame.room[i], rest = Math.max(0, bytes - used - room), kind = frame.kind[i];
  let place = (data.arenasPerCell > 1 ? "arenas from " : "arena ") + arena;
  if (pool) place += (blocks > 1 && data.arenasPerCell > 1 ? ", pools from " : ", pool ") + pool;
  if (block) place += blocks > 1 ? ", blocks from " + block + " (" + blocks.toLocaleString("en") + ")" : ", block " + block;
  const lines = [place.charAt(0).toUpperCase() + place.slice(1)];
  if (kind >= 2) {
    lines.push((blocks > 1 ? "most in blocks of " : "blocks of ") + data.classes[kind - 2]);
    lines.push("content " + human(used) + " (" + percent(used, bytes) + "), room " + human(room));
  } else lines.push(kind === 1 ? "in a pool, not carved into blocks" : "in an arena, not carved into pools");
  if (kind >= 2 && rest >= data.unit) lines.push("not carved " + human(rest));
  lines.push("this cell stands for " + human(bytes));
  return lines;
}
function select(i) {
  view.cell = i;
  const frame = frames[view.frame];
  if (i >= 0 && i < frame.kind.length) $("cell").textContent = describe(i).join(" · ");
  else $("cell").textContent = "Point at a cell, or go from cell to cell with the arrow keys.";
  draw();
}
function count() {
  const frame = frames[view.frame];
  let cells = 0, used = 0, room = 0;
  for (let i = 0; i < frame.kind.length; i++) if (isShown(frame, i)) { cells++; used += frame.used[i]; room += frame.room[i]; }
  $("matches").textContent = counted(cells, "cell") + " of " + frame.kind.length.toLocaleString("en") + " shown: content "
    + human(used) + ", room in blocks " + human(room);
}

function show(frame) {
  view.frame = Math.max(0, Math.min(last, frame));
  slider.value = view.frame;
  const raw = frames[view.frame].raw;
  $("readout").textContent = raw.text;
  slider.setAttribute("aria-valuetext", raw.text);
  $("prev").disabled = view.frame === 0;
  $("next").disabled = view.frame === last;
  $("cursor").style.left = 100 * raw.x + "%";
  $("cursor").hidden = last === 0;
  count();
  select(view.cell < frames[view.frame].kind.length ? view.cell : -1);
}

// Time.
let timer = 0;
function play(on) {
  clearInterval(timer);
  timer = 0;
  $("play").classList.toggle("on", on);
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (!on) return;
  if (view.frame === last) show(0);
  timer = setInterval(() => view.frame === last ? play(false) : show(view.frame + 1), Math.max(60, Math.min(500, 12000 / (last + 1))));
}
slider.addEventListener("input", () => { play(false); show(+slider.value); });
$("prev").addEventListener("click", () => { play(false); show(view.frame - 1); });
$("next").addEventListener("click", () => { play(false); show(view.frame + 1); });
$("play").addEventListener("click", () => play(!timer));
if (last === 0) $("timebar").querySelectorAll("button,input").forEach(control => { control.disabled = true; });

function tip(element, event, text) {
  const area = element.parentElement.getBoundingClientRect();
  element.textContent = text;
  element.hidden = false;
  const x = event.clientX - area.left, y = event.clientY - area.top;
  element.style.left = Math.max(0, Math.min(x + 14, area.width - element.offsetWidth - 4)) + "px";
  element.style.top = (y + 18 + element.offsetHeight > area.height && y > element.offsetHeight + 12 ? y - element.offsetHeight - 10 : y + 18) + "px";
}
const chart = $("chart");
function frameUnder(event) {
  const area = chart.getBoundingClientRect(), x = (event.clientX - area.left) / area.width;
  let best = 0;
  frames.forEach((frame, i) => { if (Math.abs(frame.raw.x - x) < Math.abs(frames[best].raw.x - x)) best = i; });
  return best;
}
chart.addEventListener("pointermove", event => tip($("chart-tip"), event, frames[frameUnder(event)].raw.lines));
chart.addEventListener("pointerleave", () => { $("chart-tip").hidden = true; });
chart.addEventListener("click", event => { play(false); show(frameUnder(event)); });

// The map.
let drag = null;
const spot = event => { const area = canvas.getBoundingClientRect(); return [event.clientX - area.left, event.clientY - area.top]; };
canvas.addEventListener("pointerdown", event => { drag = { at: spot(event), x: view.x, y: view.y, moved: false }; });
window.addEventListener("pointerup", () => { drag = null; });
canvas.addEventListener("pointermove", event => {
  const [x, y] = spot(event);
  if (drag && event.buttons && view.zoom > 1) {
    view.x = drag.x + x - drag.at[0];
    view.y = drag.y + y - drag.at[1];
    clampView();
    $("map-tip").hidden = true;
    draw();
    return;
  }
  const cell = cellUnder(x, y);
  if (cell !== view.cell) select(cell);
  if (cell < 0) $("map-tip").hidden = true;
  else tip($("map-tip"), event, describe(cell).join("\n"));
});
canvas.addEventListener("pointerleave", () => { $("map-tip").hidden = true; });
canvas.addEventListener("dblclick", event => zoomAt(2, ...spot(event)));
canvas.addEventListener("wheel", event => {
  if (!event.ctrlKey && document.activeElement !== canvas) return;
  event.preventDefault();
  zoomAt(event.deltaY < 0 ? 1.25 : 0.8, ...spot(event));
}, { passive: false });
const middle = () => view.cell < 0 ? [plan.width / 2, plan.height / 2]
  : cellAt(frames[view.frame], view.cell).map((at, i) => (at + plan.size / 2) * view.zoom + (i ? view.y : view.x));
const zoom = factor => zoomAt(factor, ...middle());
function fit() { view.zoom = 1; clampView(); draw(); }
$("in").addEventListener("click", () => zoom(1.6));
$("out").addEventListener("click", () => zoom(1 / 1.6));
$("fit").addEventListener("click", fit);
canvas.addEventListener("keydown", event => {
  const cells = frames[view.frame].kind.length, steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -plan.columns, ArrowDown: plan.columns };
  const key = event.key;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (key in steps && cells) select(view.cell < 0 ? 0 : Math.max(0, Math.min(cells - 1, view.cell + steps[key])));
  else if (key === "Home" && cells) select(0);
  else if (key === "End" && cells) select(cells - 1);
  else if (key === "+" || key === "=") zoom(1.6);
  else if (key === "-") zoom(1 / 1.6);
  else if (key === "0") fit();
  else if (key === ",") show(view.frame - 1);
  else if (key === ".") show(view.frame + 1);
  else if (key === " ") play(!timer);
  else return;
  event.preventDefault();
  if (key in steps || key === "Home" || key === "End") follow();
});
// Keeps the chosen cell in sight.
function follow() {
  if (view.zoom === 1 || view.cell < 0) return;
  const [x, y] = middle();
  if (x < 30 || x > plan.width - 30) view.x += plan.width / 2 - x;
  if (y < 30 || y > plan.height - 30) view.y += plan.height / 2 - y;
  clampView();
  draw();
}

// Filters.
const press = (button, on) => button.setAttribute("aria-pressed", on);
$("states").querySelectorAll("button").forEach((button, _, all) => button.addEventListener("click", () => {
  view.state = button.dataset.state;
  all.forEach(other => press(other, other === button));
  count();
  draw();
}));
$("classes").querySelectorAll("button").forEach((button, index) => button.addEventListener("click", () => {
  if (!view.classes.delete(index)) view.classes.add(index);
  press(button, !view.classes.has(index));
  count();
  draw();
}));
for (const [id, byUse] of [["by-class", false], ["by-use", true]]) $(id).addEventListener("click", () => {
  view.byUse = byUse;
  press($("by-class"), !byUse);
  press($("by-use"), byUse);
  draw();
});
function swatches() {
  document.querySelectorAll("[data-class]").forEach(swatch => {
    const g = swatch.getContext("2d"), kind = 2 + +swatch.dataset.class;
    g.fillStyle = colour(kind);
    g.fillRect(0, 0, 30, 30);
    mark(g, kind, 0, 0, 30, [0, 0, 30, 30]);
  });
}

function refresh() {
  readStyle();
  arrange();
  swatches();
  show(view.frame);
}
new ResizeObserver(() => { if (plan.width !== box.clientWidth) { arrange(); draw(); } }).observe(box);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
refresh();
document.documentElement.dataset.ready = "yes";
