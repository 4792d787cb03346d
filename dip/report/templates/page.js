// Filtering, copying a command, and comparing two images of a run with a slider and zoom.
const byId = (id) => document.getElementById(id);
const runs = JSON.parse(byId("data").textContent), album = JSON.parse(byId("album").textContent);
const frame = byId("frame"), left = byId("left"), right = byId("right");
const point = { x: 50, y: 50 }; // the point of the images that zooming keeps in place, in percent
const wanted = { leftside: "target", rightside: "restored" }; // the images to compare, as far as a run has them
let shown = runs, run = null;

// Filter: every word must be found. A word "name=value" must match exactly: "seed=1" does not find seed=10.
// A word "name>number", also with <, >= or <=, compares a column of results.csv, such as psnr, ssim or seconds.

const compare = { ">": (a, b) => a > b, "<": (a, b) => a < b, ">=": (a, b) => a >= b, "<=": (a, b) => a <= b };

function matches(one, word) {
  const [, name, sign, limit] = /^([\w.]+)(>=|<=|>|<)(-?[\d.]+)$/.exec(word) || [];
  if (sign) return name in one.numbers && compare[sign](one.numbers[name], Number(limit));
  return word.includes("=") ? one.words.includes(word) : one.words.some((text) => text.includes(word));
}

function filter() {
  const wanted = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = runs.filter((one) => wanted.every((word) => matches(one, word)));
  document.querySelectorAll("[data-run]").forEach((node) => { node.hidden = !shown.includes(runs[node.dataset.run]); });
  document.querySelectorAll("[data-group]").forEach((node) => {
    node.hidden = !node.dataset.group.split(" ").some((id) => shown.includes(runs[id]));
  });
  byId("count").textContent = `${shown.length} of ${runs.length} runs`;
  byId("viewer").hidden = !shown.length;
  if (shown.length && !shown.includes(run)) show(shown.find((one) => Object.keys(one.images).length) || shown[0]);
}

async function copy(button) {
  const { command } = runs[button.dataset.copy], before = button.textContent;
  try {
    await navigator.clipboard.writeText(command);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = before; }, 1200);
  } catch {
    prompt("Copy the command:", command); // the browser refuses access to the clipboard
  }
}

function show(chosen) {
  run = chosen;
  byId("runlabel").textContent = run.label;
  byId("runfacts").replaceChildren(...Object.entries(run.facts).flatMap(([name, value]) => {
    const term = document.createElement("dt"), fact = document.createElement("dd");
    term.textContent = name;
    fact.textContent = value;
    return [term, fact];
  }));
  byId("runcommand").textContent = run.command || "The options of this run are unknown.";
  byId("runcopy").hidden = !run.command;
  byId("runcopy").dataset.copy = run.id;
  const names = Object.keys(run.images);
  for (const [side, other] of [["leftside", names.length > 1 ? names[0] : ""], ["rightside", names.at(-1)]]) {
    byId(side).replaceChildren(...names.map((name) => new Option(name, name)));
    byId(side).value = names.length > 1 && names.includes(wanted[side]) ? wanted[side] : other || "";
  }
  document.querySelectorAll("[data-run]").forEach((node) => node.classList.toggle("chosen", node.dataset.run === String(run.id)));
  load();
  stack();
}

function load() {
  for (const image of [left, right]) {
    const name = byId(`${image.id}side`).value, uri = name ? album[run.images[name]] : "";
    image.hidden = !uri;
    if (uri) image.src = uri;
    image.alt = byId(`${image.id}name`).textContent = name;
  }
  byId("cut").setAttribute("aria-label", `Compare: how much of ${left.alt} covers ${right.alt}, in percent`);
}

// A volume: its slices lie side by side in one image, `mosaic` of dip/images/slices.py, and the same one of each is shown.

function grid() {
  const count = Math.min(run.slices, 100), columns = Math.ceil(Math.sqrt(count)); // 100: SHOWN of dip/images/slices.py
  return { count, columns, rows: Math.ceil(count / columns) };
}

function stack() {
  const { count, columns, rows } = grid();
  byId("volume").hidden = !Object.keys(run.mosaics).length;
  byId("slice").max = count - 1;
  byId("slice").value = Math.floor(count / 2);
  byId("layers").replaceChildren(...Object.entries(run.mosaics).map(([name, key]) => {
    const figure = document.createElement("figure"), layer = document.createElement("div"), whole = new Image();
    whole.onload = () => { layer.style.aspectRatio = `${whole.naturalWidth / columns} / ${whole.naturalHeight / rows}`; };
    whole.src = album[key];
    layer.style.backgroundImage = `url("${album[key]}")`;
    layer.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
    layer.setAttribute("role", "img");
    figure.append(layer, name);
    return figure;
  }));
  turn();
}

function turn() {
  const { count, columns, rows } = grid(), number = Number(byId("slice").value);
  const name = `slice ${Math.floor(((2 * number + 1) * run.slices) / (2 * count)) + 1} of ${run.slices}`;
  byId("slicename").textContent = name;
  for (const layer of byId("layers").querySelectorAll("div")) {
    const across = (100 * (number % columns)) / Math.max(1, columns - 1);
    layer.style.backgroundPosition = `${across}% ${(100 * Math.floor(number / columns)) / Math.max(1, rows - 1)}%`;
    layer.setAttribute("aria-label", `${name}, ${layer.nextSibling.textContent}`);
  }
}

// Apply slider, zoom and position. Both images fill the frame, whatever their own sizes.
function arrange() {
  const zoom = Number(byId("zoom").value);
  frame.style.setProperty("--cut", `${byId("cut").value}%`);
  frame.classList.toggle("zoomed", zoom > 1);
  for (const image of [left, right]) {
    image.style.transform = `scale(${zoom})`;
    image.style.transformOrigin = `${point.x}% ${point.y}%`;
    image.classList.toggle("crisp", (image.clientWidth * zoom) / (image.naturalWidth || 1) >= 2);
  }
}

// Dragging moves the slider, or the image when it is magnified.
function drag(event) {
  const box = frame.getBoundingClientRect(), zoom = Number(byId("zoom").value);
  const inside = (value) => Math.min(100, Math.max(0, value));
  if (zoom === 1) byId("cut").value = (100 * (event.clientX - box.left)) / box.width;
  else if (event.type === "pointermove") {
    point.x = inside(point.x - (100 * event.movementX) / box.width / (zoom - 1));
    point.y = inside(point.y - (100 * event.movementY) / box.height / (zoom - 1));
  }
  arrange();
}

frame.addEventListener("pointerdown", (event) => {
  frame.setPointerCapture(event.pointerId);
  drag(event);
});
frame.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
frame.addEventListener("dblclick", (event) => {
  const box = frame.getBoundingClientRect();
  byId("zoom").value = byId("zoom").value > 1 ? 1 : 4;
  point.x = (100 * (event.clientX - box.left)) / box.width;
  point.y = (100 * (event.clientY - box.top)) / box.height;
  arrange();
});
for (const image of [left, right]) {
  image.addEventListener("load", () => {
    frame.style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
    arrange();
  });
  byId(`${image.id}side`).addEventListener("change", (event) => { wanted[event.target.id] = event.target.value; load(); });
}
byId("slice").addEventListener("input", turn);
for (const id of ["cut", "zoom"]) byId(id).addEventListener("input", arrange);
for (const [id, by] of [["previous", -1], ["next", 1]])
  byId(id).addEventListener("click", () => show(shown[(shown.indexOf(run) + by + shown.length) % shown.length]));
document.addEventListener("click", (event) => {
  const picked = event.target.closest("[data-pick]"), copied = event.target.closest("[data-copy]");
  if (copied) copy(copied);
  if (!picked) return;
  show(runs[picked.dataset.pick]);
  byId("images").scrollIntoView({ block: "start" });
});
document.querySelectorAll("[data-image]").forEach((image) => {
  image.loading = "lazy";
  image.src = album[image.dataset.image];
  image.onload = () => image.classList.toggle("crisp", image.clientWidth / image.naturalWidth >= 2);
});
byId("filter").addEventListener("input", filter);
window.addEventListener("resize", arrange);
filter();
