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
  const rows = Math.ceil(perTile / columns), gap = perTile > 1 ? (perTile > 32 ? 14 : perTile > 8 ? 6 : 3) : 0, most = 460;
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
// A pattern that goes on from cell to cell, within the part of a cell that is given.
function mark(g, kind, x, y, size, [left, top, width, height]) {
  const pattern = (kind - 2) % 4, step = size / Math.max(1, Math.min(4, Math.round(size * view.zoom / 7)));
  if (pattern === 0 || width <= 0 || height <= 0) return;
  g.save();
  g.beginPath();
  g.rect(left, top, width, height);
  g.clip();
  g.strokeStyle = g.fillStyle = style.mark;
  g.lineWidth = step / 9;
  g.beginPath();
  if (pattern === 2) {
    for (let i = step / 2; i < size; i += step) for (let j = step / 2; j < size; j += step) {
      g.moveTo(x + i, y + j);
      g.arc(x + i, y + j, step / 7, 0, 7);
    }
    g.fill();
  } else {
    for (let i = -size; i < size + 0.01; i += step) {
      g.moveTo(x + i, y + size);
      g.lineTo(x + i + size, y);
      if (pattern === 3) { g.moveTo(x + i, y); g.lineTo(x + i + size, y + size); }
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

function drawCell(g, frame, tile, j, tx, ty) {
  const i = tile.start + j, kind = frame.kind[i], size = plan.size, wide = plan.columns, seen = size * view.zoom;
  const x = tx + (j % wide) * size, y = ty + Math.floor(j / wide) * size;
  const shown = isShown(frame, i), faint = shown ? 1 : 0.13, bytes = bytesOf(frame, i) || 1;
  g.globalAlpha = faint;
  if (kind < 2) {
    const inset = seen >= 6 ? Math.min(1, size * 0.08) : 0, w = size - 2 * inset;
    g.fillStyle = kind ? style.pools : style.arenas;
    g.fillRect(x + inset, y + inset, w, w);
    if (seen < 5) return;
    g.fillStyle = kind ? style.dots : style.dash;
    if (kind) g.fillRect(x + size * 0.42, y + size * 0.42, size * 0.16, size * 0.16);
    else g.fillRect(x + size * 0.24, y + size * 0.5, size * 0.52, Math.max(0.4, size * 0.06));
    return;
  }
  // Cells of one block have no gaps between them.
  const block = frame.where[i], joined = (k, near) => {
    const other = near && k >= 0 && k < tile.count && frame.where[tile.start + k];
    return other && block[3] === 1 && other[3] === 1 && block[2] === other[2];
  };
  const gap = seen >= 4 ? Math.min(1, size * 0.12) : 0;
  const left = joined(j - 1, j % wide > 0), right = joined(j + 1, (j + 1) % wide > 0);
  const up = joined(j - wide, true), down = joined(j + wide, true);
  const x0 = x + (left ? 0 : gap), x1 = x + size + (right ? 0.6 : -gap);
  const y0 = y + (up ? 0 : gap), y1 = y + size + (down ? 0.6 : -gap), w = x1 - x0, h = y1 - y0;
  const part = Math.min(1, frame.used[i] / bytes);
  g.fillStyle = style.room;
  g.fillRect(x0, y0, w, h);
  // Content fills a cell from below; a little of it is never invisible.
  const high = part > 0 ? Math.max(h * part, Math.min(h, 1.2)) : 0;
  if (view.byUse && part > 0) {
    g.fillStyle = style.payload;
    g.globalAlpha = faint * (0.15 + 0.85 * part);
    g.fillRect(x0, y0, w, h);
    g.globalAlpha = faint;
  } else if (high > 0) {
    g.fillStyle = colour(kind);
    g.fillRect(x0, y1 - high, w, high);
    if (seen >= 6) mark(g, kind, x, y, size, [x0, y1 - high, w, high]);
  }
  if (part < 1 && seen >= 4) {
    g.strokeStyle = colour(kind);
    g.lineWidth = Math.max(0.4, 1 / view.zoom);
    g.beginPath();
    for (const [is, fx, fy, px, py] of [[left, x0, y0, x0, y1], [right, x1, y0, x1, y1], [up, x0, y0, x1, y0], [down, x0, y1, x1, y1]]) {
      if (!is) { g.moveTo(fx, fy); g.lineTo(px, py); }
    }
    g.stroke();
  }
}

function draw() {
  const frame = frames[view.frame], g = canvas.getContext("2d"), ratio = window.devicePixelRatio || 1;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.fillStyle = style.bg;
  g.fillRect(0, 0, plan.width, plan.height);
  g.setTransform(ratio * view.zoom, 0, 0, ratio * view.zoom, ratio * view.x, ratio * view.y);
  const size = plan.size;
  frame.tiles.forEach((tile, number) => {
    const [tx, ty] = tileAt(number);
    for (let j = 0; j < tile.count; j++) drawCell(g, frame, tile, j, tx, ty);
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
