// What the page knows: the frames, and what is looked at.
const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const canvas = $("map"), box = $("mapbox"), slider = $("slider");
const last = data.frames.length - 1;
// What is drawn: which moment, which part of the map, what is picked out.
const view = { frame: last, zoom: 1, x: 0, y: 0, cell: -1, state: "all", classes: new Set(), byUse: false };

// Each frame says only what differs from the one before it.
const frames = [];
for (const raw of data.frames) {
  const before = frames[frames.length - 1];
  const kind = new Uint8Array(raw.n), used = new Float64Array(raw.n), room = new Float64Array(raw.n);
  const where = before ? before.where.slice(0, raw.n) : [];
  if (before) {
    kind.set(before.kind.subarray(0, raw.n));
    used.set(before.used.subarray(0, raw.n));
    room.set(before.room.subarray(0, raw.n));
  }
  for (let i = 0, at = -1; i < raw.d.length; i += 4) {
    at += raw.d[i];
    kind[at] = raw.d[i + 1];
    used[at] = raw.d[i + 2] * data.unit;
    room[at] = raw.d[i + 3] * data.unit;
  }
  for (let i = 0, at = -1; i < raw.w.length; i += 6) {
    at += raw.w[i];
    where[at] = raw.w.slice(i + 1, i + 6);
  }
  frames.push({ raw, kind, used, room, where, tiles: tilesOf(where) });
}

// Cells of one arena stay together, unless a cell has several arenas.
function tilesOf(where) {
  const tiles = [];
  where.forEach((cell, index) => {
    const tile = tiles[tiles.length - 1];
    if (tile && tile.arena === cell[0] && data.arenasPerCell === 1) tile.count++;
    else tiles.push({ arena: cell[0], start: index, count: 1 });
  });
  return tiles;
}

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
function human(bytes) {
  if (bytes < 1000) return Math.round(bytes) + " B";
  let unit = 0;
  while (unit === 0 || (bytes >= 999.95 && unit < units.length - 1)) { bytes /= 1024; unit++; }
  return bytes.toFixed(1) + " " + units[unit];
}
const percent = (part, whole) => whole > 0 ? (100 * part / whole).toFixed(1) + " %" : "0.0 %";
const counted = (n, thing) => n.toLocaleString("en") + " " + thing + (n === 1 ? "" : "s");
