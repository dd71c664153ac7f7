// The map: where its cells are, and how they are drawn.
// Where things are on the map, before it is zoomed.
let plan = null;
function arrange() {
  const width = box.clientWidth - 24;
  let perTile = 1, tiles = 1;
  for (const frame of frames) {
    tiles = Math.max(tiles, frame.tiles.length);
    for (const tile of frame.tiles) perTile = Math.max(perTile, tile.count);
  }
  const all = data.arenasPerCell === 1 && data.arenas <= Math.max(64, 3 * tiles) ? Math.max(data.arenas, tiles) : tiles;
  let columns = 1;
  while (columns * columns < perTile) columns *= 2;
  columns = Math.min(columns, perTile);
  const rows = Math.ceil(perTile / columns), gap = perTile > 1 ? (perTile > 32 ? 14 : 6) : 0, most = 460;
  let size = 26, across = 1, high = 0;
  for (; size >= 1; size -= 0.5) {
    across = Math.max(1, Math.floor((width + gap) / (columns * size + gap)));
    high = Math.ceil(all / across) * (rows * size + gap) - gap;
    if (high <= most && columns * size <= width) break;
  }
  const used = Math.min(all, across) * (columns * size + gap) - gap;
  const left = Math.max(12, Math.floor((box.clientWidth - used) / 2)), top = 16;
  plan = { left, top, columns, rows, gap, size, across, all, width: box.clientWidth, height: Math.max(90, Math.ceil(high) + 2 * top) };
  const ratio = window.devicePixelRatio || 1;
  canvas.style.height = plan.height + "px";
  canvas.width = Math.round(plan.width * ratio);
  canvas.height = Math.round(plan.height * ratio);
  clampView();
}
const tileAt = tile => [plan.left + (tile % plan.across) * (plan.columns * plan.size + plan.gap),
  plan.top + Math.floor(tile / plan.across) * (plan.rows * plan.size + plan.gap)];
function cellAt(frame, index) {
  const tile = frame.tiles.findIndex(tile => index >= tile.start && index < tile.start + tile.count);
  const [x, y] = tileAt(tile), within = index - frame.tiles[tile].start;
  return [x + (within % plan.columns) * plan.size, y + Math.floor(within / plan.columns) * plan.size];
}
function cellUnder(px, py) {
  const frame = frames[view.frame];
  const x = (px - view.x) / view.zoom - plan.left, y = (py - view.y) / view.zoom - plan.top;
  const w = plan.columns * plan.size + plan.gap, h = plan.rows * plan.size + plan.gap;
  const tx = Math.floor(x / w), ty = Math.floor(y / h);
  const cx = Math.floor((x - tx * w) / plan.size), cy = Math.floor((y - ty * h) / plan.size);
  if (tx < 0 || ty < 0 || tx >= plan.across || cx >= plan.columns || cy >= plan.rows) return -1;
  const tile = frame.tiles[ty * plan.across + tx], within = cy * plan.columns + cx;
  return tile && within < tile.count ? tile.start + within : -1;
}
function clampView() {
  view.zoom = Math.min(24, Math.max(1, view.zoom));
  view.x = Math.min(0, Math.max(plan.width * (1 - view.zoom), view.x));
  view.y = Math.min(0, Math.max(plan.height * (1 - view.zoom), view.y));
  canvas.classList.toggle("moves", view.zoom > 1);
  canvas.dataset.zoom = view.zoom.toFixed(2);
}
function zoomAt(factor, px, py) {
  const before = view.zoom;
  view.zoom = Math.min(24, Math.max(1, before * factor));
  view.x = px - (px - view.x) * view.zoom / before;
  view.y = py - (py - view.y) * view.zoom / before;
  clampView();
  draw();
}

// Classes differ in lightness and in a pattern, so that nobody needs their hues.
let style = null;
function readStyle() {
  const css = getComputedStyle(document.documentElement), get = name => css.getPropertyValue(name).trim();
  style = { classes: [], room: get("--room"), pools: get("--pools"), dots: get("--dots"), dash: get("--dash"),
    arenas: get("--arenas"), ink: get("--ink"), line: get("--line"), focus: get("--focus"), bg: get("--bg"),
    soft: get("--soft"), payload: get("--payload"), mark: get("--mark") };
  for (let i = 0; i < 8; i++) style.classes.push(get("--c" + i));
}
const colour = kind => style.classes[(kind - 2) % 8];
function mark(g, kind, x, y, w, h, step) {
  const pattern = (kind - 2) % 4;
  if (pattern === 0 || w < 4 || h < 4) return;
  g.save();
  g.beginPath();
  g.rect(x, y, w, h);
  g.clip();
  g.strokeStyle = g.fillStyle = style.mark;
  g.lineWidth = Math.max(0.7, step / 5);
  g.beginPath();
  if (pattern === 2) {
    for (let i = step / 2; i < w; i += step) for (let j = step / 2; j < h; j += step) {
      g.moveTo(x + i, y + j);
      g.arc(x + i, y + j, step / 5, 0, 7);
    }
    g.fill();
  } else {
    for (let i = -h; i < w + h; i += step) {
      g.moveTo(x + i, y + h);
      g.lineTo(x + i + h, y);
      if (pattern === 3) { g.moveTo(x + i, y); g.lineTo(x + i + h, y + h); }
    }
    g.stroke();
  }
  g.restore();
}

const bytesOf = (frame, i) => frame.where[i][4];
function isShown(frame, i) {
  const kind = frame.kind[i], used = frame.used[i], room = frame.room[i];
  if (kind >= 2 && view.classes.has(kind - 2)) return false;
  switch (view.state) {
    case "full": return used > 0 && room === 0 && kind >= 2;
    case "room": return room > 0;
    case "empty": return kind >= 2 && used === 0;
    case "uncarved": return kind < 2 || bytesOf(frame, i) - used - room >= data.unit;
    default: return true;
  }
}

function draw() {
  const frame = frames[view.frame], g = canvas.getContext("2d"), ratio = window.devicePixelRatio || 1;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.fillStyle = style.bg;
  g.fillRect(0, 0, plan.width, plan.height);
  g.setTransform(ratio * view.zoom, 0, 0, ratio * view.zoom, ratio * view.x, ratio * view.y);
  const size = plan.size, inset = size * view.zoom >= 6 ? Math.min(1, size * 0.08) : 0, step = Math.max(3, size / 4);
  frame.tiles.forEach((tile, number) => {
    const [tx, ty] = tileAt(number);
    for (let j = 0; j < tile.count; j++) {
      const i = tile.start + j, kind = frame.kind[i];
      const x = tx + (j % plan.columns) * size + inset, y = ty + Math.floor(j / plan.columns) * size + inset;
      const w = size - 2 * inset, shown = isShown(frame, i), bytes = bytesOf(frame, i) || 1;
      g.globalAlpha = shown ? 1 : 0.13;
      if (kind === 0) {
        g.fillStyle = style.arenas;
        g.fillRect(x, y, w, w);
        if (size * view.zoom >= 5) { g.fillStyle = style.dash; g.fillRect(x + w * 0.2, y + w * 0.5, w * 0.6, Math.max(0.4, w * 0.06)); }
      } else if (kind === 1) {
        g.fillStyle = style.pools;
        g.fillRect(x, y, w, w);
        if (size * view.zoom >= 5) { g.fillStyle = style.dots; g.fillRect(x + w * 0.42, y + w * 0.42, w * 0.16, w * 0.16); }
      } else {
        const part = Math.min(1, frame.used[i] / bytes);
        // Content fills a cell from below; a little of it is never invisible.
        const h = part > 0 ? Math.max(w * part, Math.min(w, 1.2)) : 0;
        g.fillStyle = style.room;
        g.fillRect(x, y, w, w);
        if (view.byUse) {
          g.fillStyle = style.payload;
          g.globalAlpha *= part > 0 ? 0.15 + 0.85 * part : 0;
          g.fillRect(x, y, w, w);
          g.globalAlpha = shown ? 1 : 0.13;
        } else if (h > 0) {
          g.fillStyle = colour(kind);
          g.fillRect(x, y + w - h, w, h);
          if (size * view.zoom >= 7) mark(g, kind, x, y + w - h, w, h, step);
        }
        if (part === 0 && size * view.zoom >= 5) {
          g.strokeStyle = colour(kind);
          g.lineWidth = Math.max(0.5, 1 / view.zoom);
          g.strokeRect(x + g.lineWidth / 2, y + g.lineWidth / 2, w - g.lineWidth, w - g.lineWidth);
        }
      }
    }
    g.globalAlpha = 1;
    if (plan.gap > 8 && plan.rows * size * view.zoom > 150) {
      g.fillStyle = style.soft;
      g.font = 9 / view.zoom + "px system-ui, sans-serif";
      g.fillText("arena " + tile.arena, tx, ty - 3 / view.zoom);
    }
  });
  // What no arena reserves yet.
  g.strokeStyle = style.dash;
  g.lineWidth = 1 / view.zoom;
  g.setLineDash([3 / view.zoom, 3 / view.zoom]);
  for (let number = frame.tiles.length; plan.gap && number < plan.all; number++) {
    const [x, y] = tileAt(number);
    g.strokeRect(x + 0.5, y + 0.5, plan.columns * size - 1, plan.rows * size - 1);
  }
  g.setLineDash([]);
  if (view.cell >= 0 && view.cell < frame.kind.length) {
    const [x, y] = cellAt(frame, view.cell);
    g.strokeStyle = style.focus;
    g.lineWidth = 2.5 / view.zoom;
    g.strokeRect(x, y, size, size);
  }
}
