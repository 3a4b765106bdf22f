"use strict";
// The page of samzoo annotate. The server holds all that counts: this draws it and sends actions.

const COLOURS = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178],
  [213, 94, 0], [204, 121, 167]]; // Okabe and Ito
const SLIDERS = {
  foreground_threshold: ["foreground", 0, 1, 0.02],
  center_distance_threshold: ["centre", 0, 1, 0.02],
  boundary_distance_threshold: ["boundary", 0, 1, 0.02],
  min_size: ["least size, px", 0, 500, 5],
};
const DRAG = 5; // screen pixels from which a click is a drag
const $ = (id) => document.getElementById(id);
const canvas = $("canvas"), context = canvas.getContext("2d");
const app = {
  state: null, image: null, labels: null, proposal: null, selected: new Set(), points: [],
  box: null, line: null, tool: "prompt", outlines: false, zoom: 1, x: 0, y: 0, busy: 0,
  thresholds: {}, overlay: document.createElement("canvas"), mask: null, fitted: true,
};
window.samzoo = app; // what the tests look at

// --- the server ---

async function answer(response) {
  if (response.ok) return response;
  let text = await response.text();
  try { text = JSON.parse(text).error; } catch { /* a refusal in plain words */ }
  throw new Error(text.trim() || `the server answers ${response.status}`);
}

let queue = Promise.resolve();
function act(name, fields = {}) { // one after the other, in the order of the clicks
  const run = async () => {
    app.busy += 1;
    document.body.style.cursor = "progress";
    try {
      const response = await answer(await fetch(`api/${name}`, {
        method: "POST", headers: {"Content-Type": "application/json"},
        body: JSON.stringify(fields),
      }));
      $("error").textContent = "";
      await take(await response.json());
      return true;
    } catch (error) {
      $("error").textContent = error instanceof TypeError ? GONE : error.message;
      return false;
    } finally {
      app.busy -= 1;
      document.body.style.cursor = "";
      draw();
    }
  };
  queue = queue.then(run);
  return queue;
}
const GONE = "samzoo does not answer: it was ended. All accepted changes are on the disk; " +
  "start samzoo annotate again.";

async function take(state) {
  const first = app.state === null || state.opened;
  app.state = state;
  if (first) await loadImage();
  else if (state.changed) await loadWindow(state.changed);
  app.mask = state.candidate ? maskCanvas(state.candidate) : null;
  if (!state.proposal && app.proposal) { app.proposal = null; paint(); }
  for (const id of [...app.selected]) if (!app.known.has(id)) app.selected.delete(id);
  show();
  if (state.progress) setTimeout(poll, 150);
}

async function poll() {
  try {
    await take(await (await answer(await fetch("api/state"))).json());
  } catch (error) {
    $("error").textContent = error instanceof TypeError ? GONE : error.message;
  }
  draw();
}

async function loadImage() {
  const [height, width] = app.state.size;
  const blob = await (await answer(await fetch("api/image.png"))).blob();
  app.image = await createImageBitmap(blob);
  app.labels = new Int32Array(await (await answer(await fetch("api/labels"))).arrayBuffer());
  app.overlay.width = width;
  app.overlay.height = height;
  app.selected.clear();
  app.points = []; app.box = app.line = app.proposal = null; app.thresholds = {};
  paint();
  fit();
}

async function loadWindow([y0, x0, y1, x1]) {
  const response = await answer(await fetch(`api/labels/${y0}/${x0}/${y1}/${x1}`));
  const part = new Int32Array(await response.arrayBuffer()), width = app.state.size[1];
  for (let y = y0; y < y1; y++) {
    app.labels.set(part.subarray((y - y0) * (x1 - x0), (y - y0 + 1) * (x1 - x0)), y * width + x0);
  }
  paint([Math.max(y0 - 1, 0), Math.max(x0 - 1, 0), Math.min(y1 + 1, app.state.size[0]),
    Math.min(x1 + 1, width)]);
}

// --- drawing ---

function paint(window) {
  const [height, width] = app.state.size, values = app.proposal || app.labels;
  const [y0, x0, y1, x1] = window || [0, 0, height, width];
  const pixels = new ImageData(x1 - x0, y1 - y0), data = pixels.data;
  for (let y = y0, at = 0; y < y1; y++) {
    for (let x = x0; x < x1; x++, at += 4) {
      const i = y * width + x, id = values[i];
      if (id === 0) continue;
      const edge = (x > 0 && values[i - 1] !== id) || (x + 1 < width && values[i + 1] !== id) ||
        (y > 0 && values[i - width] !== id) || (y + 1 < height && values[i + width] !== id);
      const chosen = app.selected.has(id) && !app.proposal;
      const colour = chosen ? [255, 255, 255] : COLOURS[id % COLOURS.length];
      data[at] = colour[0]; data[at + 1] = colour[1]; data[at + 2] = colour[2];
      data[at + 3] = edge ? 255 : app.outlines ? 0 : chosen ? 130 : 90;
    }
  }
  app.overlay.getContext("2d").putImageData(pixels, x0, y0);
  app.known = new Set(app.labels);
  app.known.delete(0);
}

function maskCanvas(candidate) {
  if (candidate.pixels === 0) return null;
  const {width, height} = candidate, bits = atob(candidate.bits);
  const mask = document.createElement("canvas");
  mask.width = width; mask.height = height;
  const pixels = new ImageData(width, height);
  const on = (x, y) => x >= 0 && y >= 0 && x < width && y < height &&
    (bits.charCodeAt((y * width + x) >> 3) >> (7 - ((y * width + x) & 7))) & 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!on(x, y)) continue;
      const edge = !(on(x - 1, y) && on(x + 1, y) && on(x, y - 1) && on(x, y + 1));
      pixels.data.set([255, 64, 160, edge ? 255 : 110], 4 * (y * width + x));
    }
  }
  mask.getContext("2d").putImageData(pixels, 0, 0);
  return {canvas: mask, row: candidate.row, column: candidate.column};
}

let drawing = 0;
function draw() {
  if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; redraw(); });
}

function redraw() {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!app.image) return;
  context.save();
  context.translate(app.x, app.y);
  context.scale(app.zoom, app.zoom);
  context.imageSmoothingEnabled = app.zoom < 2;
  context.drawImage(app.image, 0, 0);
  context.drawImage(app.overlay, 0, 0);
  if (app.mask) context.drawImage(app.mask.canvas, app.mask.column, app.mask.row);
  context.lineWidth = 2 / app.zoom;
  if (app.box) {
    context.strokeStyle = "#ff40a0";
    const [x0, y0, x1, y1] = app.box;
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
  if (app.line) {
    context.strokeStyle = "#ffffff";
    context.beginPath();
    app.line.forEach(([x, y], i) => i ? context.lineTo(x, y) : context.moveTo(x, y));
    context.stroke();
  }
  for (const {x, y, label} of app.points) {
    context.beginPath();
    context.arc(x, y, 5 / app.zoom, 0, 7);
    context.fillStyle = label ? "#19c37d" : "#e5484d";
    context.fill();
    context.strokeStyle = "#ffffff";
    context.stroke();
  }
  context.restore();
}

function fit() {
  const [height, width] = app.state.size;
  app.zoom = Math.min(canvas.clientWidth / width, canvas.clientHeight / height) * 0.98;
  app.x = (canvas.clientWidth - width * app.zoom) / 2;
  app.y = (canvas.clientHeight - height * app.zoom) / 2;
  app.fitted = true;
  draw();
}

function zoomAt(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const zoom = Math.min(Math.max(app.zoom * factor, 0.05), 64);
  app.x = x - (x - app.x) * zoom / app.zoom;
  app.y = y - (y - app.y) * zoom / app.zoom;
  app.zoom = zoom;
  app.fitted = false;
  draw();
}

// --- what stands beside the image ---

function show() {
  const s = app.state, ready = s.ready && !s.progress, chosen = app.selected.size;
  $("name").textContent = s.images[s.number];
  $("place").textContent = `${s.number + 1} of ${s.images.length}`;
  const count = app.known ? app.known.size : 0;
  const objects = `${count} object${count === 1 ? "" : "s"}`;
  $("status").textContent = s.progress
    ? `the model looks at the image (${s.progress[0]} ${s.progress[1]}` +
      `${s.progress[2] ? " of " + s.progress[2] : ""}) …`
    : ready ? `${objects}; ${s.model}, ${s.scale}` : `${objects}; the model has not seen this image`;
  if (s.error) $("error").textContent = s.error;
  $("labels").textContent = s.labels;
  $("mask").textContent = s.candidate
    ? s.candidate.pixels ? `${s.candidate.pixels} pixels, expected IoU ${s.candidate.score}`
      : "the mask is empty; click in the object" : "";
  $("selected").textContent = chosen ? `selected: ${[...app.selected].join(", ")}` : "";
  const mask = s.candidate && s.candidate.pixels > 0;
  const usable = {
    back: s.number > 0, next: s.number + 1 < s.images.length, accept: mask,
    replace: mask && chosen === 1, discard: s.candidate || app.proposal || app.points.length,
    delete: chosen, merge: chosen > 1, refine: chosen === 1 && ready, undo: s.can_undo,
    redo: s.can_redo, automatic: ready && s.has_ais, "take-all": app.proposal,
    "take-new": app.proposal,
  };
  for (const [id, can] of Object.entries(usable)) $(id).disabled = !can;
  $("embed").textContent = s.progress ? "Stop" : "Use";
  $("automatic-part").hidden = s.ready && !s.has_ais;
  for (const tool of ["prompt", "select", "line", "move"]) {
    $(`tool-${tool}`).setAttribute("aria-checked", String(app.tool === tool));
  }
  $("outlines").setAttribute("aria-pressed", String(app.outlines));
  if (s.thresholds && Object.keys(app.thresholds).length === 0) sliders(s.thresholds);
  $("notes").replaceChildren(...s.notes.map((note) => {
    const item = document.createElement("li");
    item.textContent = note;
    return item;
  }));
}

let waiting = 0;
function sliders(own) {
  app.thresholds = {...own};
  $("sliders").replaceChildren(...Object.entries(SLIDERS).map(([name, [text, low, high, step]]) => {
    const label = document.createElement("label"), value = document.createElement("output");
    const input = document.createElement("input");
    Object.assign(input, {type: "range", min: low, max: Math.max(high, own[name]), step: "any"});
    input.id = `slider-${name}`;
    input.value = own[name];
    const digits = step < 1 ? 2 : 0;
    value.textContent = Number(own[name]).toFixed(digits);
    input.addEventListener("input", () => {
      app.thresholds[name] = step < 1 ? Number(input.value) : Math.round(input.value);
      value.textContent = app.thresholds[name].toFixed(digits);
      clearTimeout(waiting);
      waiting = setTimeout(automatic, 60);
    });
    label.append(document.createTextNode(text), value, input);
    return label;
  }));
}

// --- actions ---

async function automatic() {
  if (!await act("automatic", {thresholds: app.thresholds})) return;
  const buffer = await (await answer(await fetch("api/proposal"))).arrayBuffer();
  app.proposal = new Int32Array(buffer);
  paint(); show(); draw();
}

function prompt() {
  return act("prompt", {
    points: app.points.map(({x, y}) => [x, y]), point_labels: app.points.map(({label}) => label),
    ...(app.box ? {box: app.box} : {}),
  });
}

function forget() { app.points = []; app.box = null; app.line = null; }

const actions = {
  back: () => act("open", {number: app.state.number - 1}).then(prepare),
  next: () => act("open", {number: app.state.number + 1}).then(prepare),
  accept: async () => { if (await act("accept", {over: $("over").checked})) forget(); draw(); show(); },
  replace: async () => {
    const label = [...app.selected][0];
    if (await act("accept", {label, over: $("over").checked})) forget();
    draw(); show();
  },
  discard: async () => {
    forget();
    app.selected.clear();
    await act("discard");
    paint(); show(); draw();
  },
  delete: async () => { await act("delete", {ids: [...app.selected]}); },
  merge: async () => { await act("merge", {ids: [...app.selected]}); },
  refine: () => { forget(); return act("prompt", {object: [...app.selected][0]}); },
  undo: () => act("undo"),
  redo: () => act("redo"),
  automatic,
  "take-all": () => act("accept_automatic", {keep: false}),
  "take-new": () => act("accept_automatic", {keep: true}),
  embed: () => app.state.progress ? act("cancel") : prepare($("diameter").value.trim()),
  fit, closer: () => zoomAt(1.5), farther: () => zoomAt(1 / 1.5),
  outlines: () => { app.outlines = !app.outlines; paint(); show(); draw(); },
  quit: async () => {
    await fetch("api/quit", {method: "POST", headers: {"Content-Type": "application/json"},
      body: "{}"}).catch(() => null);
    document.body.replaceChildren("samzoo has ended. All accepted changes are on the disk.");
  },
  "tool-prompt": () => tool("prompt"), "tool-select": () => tool("select"),
  "tool-line": () => tool("line"), "tool-move": () => tool("move"),
};
function prepare(diameter) {
  const words = ["", "own", "auto"];
  const given = typeof diameter !== "string" ? "" : diameter;
  app.thresholds = {};
  return act("prepare", {diameter: words.includes(given) ? given : Number(given)});
}
function tool(name) { app.tool = name; app.line = null; show(); draw(); }
for (const [id, run] of Object.entries(actions)) $(id).addEventListener("click", () => run());

const KEYS = {
  a: "accept", enter: "accept", r: "replace", escape: "discard", d: "delete", delete: "delete",
  backspace: "delete", m: "merge", f: "refine", z: "undo", y: "redo", n: "next", b: "back",
  g: "automatic", o: "outlines", p: "tool-prompt", s: "tool-select", c: "tool-line",
  h: "tool-move", 0: "fit", "+": "closer", "=": "closer", "-": "farther",
};
document.addEventListener("keydown", (event) => {
  const from = event.target instanceof Element ? event.target : document.body;
  if (from.matches("input[type=text]") || event.altKey || event.metaKey) return;
  if (event.ctrlKey && !["z", "y"].includes(event.key.toLowerCase())) return;
  if (event.key === "Enter" && from.matches("button")) return; // the button's own
  const id = KEYS[event.key.toLowerCase()];
  if (!id || $(id).disabled) return;
  event.preventDefault();
  actions[id]();
});

// --- pointers: mouse, pen, fingers ---

const pointers = new Map();
let gesture = null;
const place = (event) => { const r = canvas.getBoundingClientRect();
  return [event.clientX - r.left, event.clientY - r.top]; };
const inImage = ([x, y]) => [(x - app.x) / app.zoom, (y - app.y) / app.zoom];
const inside = ([x, y]) => x >= 0 && y >= 0 && x < app.state.size[1] && y < app.state.size[0];
const clip = ([x, y]) => [Math.min(Math.max(x, 0), app.state.size[1]),
  Math.min(Math.max(y, 0), app.state.size[0])];
const labelAt = ([x, y]) => inside([x, y])
  ? app.labels[Math.floor(y) * app.state.size[1] + Math.floor(x)] : 0;

canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomAt(Math.exp(-event.deltaY * 0.0015), ...place(event));
}, {passive: false});

canvas.addEventListener("pointerdown", (event) => {
  if (!app.image) return;
  if (event.isTrusted) canvas.setPointerCapture(event.pointerId); // a test's pointer has none
  pointers.set(event.pointerId, place(event));
  if (pointers.size === 2) { // two fingers move and zoom; what one had begun is no action
    gesture = null; app.line = null;
    draw();
    return;
  }
  const move = app.tool === "move" || event.button !== 0;
  gesture = {start: place(event), shift: event.shiftKey, move, drag: false, earlier: app.box};
});

canvas.addEventListener("pointermove", (event) => {
  if (!pointers.has(event.pointerId)) return;
  const before = pointers.get(event.pointerId), now = place(event);
  if (pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
    const length = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
    app.x += (now[0] - before[0]) / 2;
    app.y += (now[1] - before[1]) / 2;
    zoomAt(length(now) / Math.max(length(before), 1), (now[0] + other[0]) / 2,
      (now[1] + other[1]) / 2);
    pointers.set(event.pointerId, now);
    return;
  }
  pointers.set(event.pointerId, now);
  if (!gesture) return;
  const far = Math.hypot(now[0] - gesture.start[0], now[1] - gesture.start[1]) >= DRAG;
  gesture.drag = gesture.drag || far;
  if (gesture.move) {
    app.x += now[0] - before[0];
    app.y += now[1] - before[1];
    app.fitted = false;
  } else if (gesture.drag && app.tool === "prompt") {
    const [[x0, y0], [x1, y1]] = [clip(inImage(gesture.start)), clip(inImage(now))];
    app.box = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
  } else if (gesture.drag && app.tool === "line") {
    app.line = app.line || [inImage(gesture.start)];
    app.line.push(inImage(now));
  }
  draw();
});

async function ended(event, cancelled) {
  if (!pointers.delete(event.pointerId) || !gesture) return;
  const {drag, move, shift, earlier} = gesture, at = inImage(place(event));
  gesture = null;
  if (cancelled) { app.box = earlier; app.line = null; draw(); return; }
  if (move) return;
  if (app.tool === "line") {
    const line = app.line;
    if (line) await cut(line);
    app.line = null;
  } else if (app.tool === "select" && !drag) {
    const id = labelAt(at);
    if (!shift) app.selected.clear();
    if (id) app.selected.has(id) ? app.selected.delete(id) : app.selected.add(id);
    paint(); show();
  } else if (app.tool === "prompt" && app.state.ready) {
    if (!drag) {
      if (!inside(at)) return;
      app.points.push({x: at[0], y: at[1], label: shift || $("negative").checked ? 0 : 1});
    } else if (app.box[2] - app.box[0] < 1 || app.box[3] - app.box[1] < 1) {
      app.box = earlier;
    }
    if (app.points.length || app.box) await prompt();
  }
  draw();
}
canvas.addEventListener("pointerup", (event) => ended(event, false));
canvas.addEventListener("pointercancel", (event) => ended(event, true));

async function cut(line) { // the selected object, or the one that most of the line lies on
  let label = app.selected.size === 1 ? [...app.selected][0] : 0;
  if (!label) {
    const counts = new Map();
    for (let i = 1; i < line.length; i++) {
      for (let t = 0; t < 1; t += 0.1) {
        const id = labelAt([0, 1].map((k) => line[i - 1][k] + t * (line[i][k] - line[i - 1][k])));
        if (id) counts.set(id, (counts.get(id) || 0) + 1);
      }
    }
    label = [...counts].reduce((best, each) => each[1] > best[1] ? each : best, [0, 0])[0];
  }
  if (!label) { $("error").textContent = "the line crosses no object"; return; }
  await act("split", {label, line: thinned(line)});
}
function thinned(line) { // a long line keeps its ends and every n-th corner
  const step = Math.ceil(line.length / 1000);
  return line.filter((_, i) => i % step === 0 || i === line.length - 1);
}

new ResizeObserver(() => app.image && app.fitted ? fit() : draw()).observe(canvas);
poll();
