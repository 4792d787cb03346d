// Sorting, filtering, copying a command, and comparing two images of a run with a slider and zoom.
"use strict";

const byId = (id) => document.getElementById(id);
const runs = JSON.parse(byId("data").textContent);
const frame = byId("frame"), left = byId("left"), right = byId("right");
let shown = runs, run = null, album = null;
let zoom = 1, x = 0, y = 0, last = null; // zoom and position (CSS pixels) of the images; the last pointer event

// Tables: a click on a header sorts by its column. Missing values are last in both directions.

function sort(head) {
  const table = head.closest("table"), column = head.cellIndex, body = table.tBodies[0];
  const opposite = { ascending: "descending", descending: "ascending" };
  const direction = opposite[head.getAttribute("aria-sort")] || head.dataset.first;
  table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...body.rows].map((row) => [row.cells[column].dataset.key, row]);
  rows.sort(([a], [b]) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (Number(a) - Number(b) || a.localeCompare(b, "en", { numeric: true }));
  });
  body.append(...rows.map(([, row]) => row));
}

// Filter: every word must be found. A word "name=value" must match exactly: "seed=1" does not find seed=10.

function filter() {
  const wanted = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (words, word) => (word.includes("=") ? words.includes(word) : words.some((text) => text.includes(word)));
  shown = runs.filter((one) => wanted.every((word) => matches(one.words, word)));
  const ids = new Set(shown.map((one) => String(one.id)));
  document.querySelectorAll("[data-run]").forEach((node) => { node.hidden = !ids.has(node.dataset.run); });
  byId("count").textContent = shown.length === runs.length ? `all ${runs.length} runs` : `${shown.length} of ${runs.length} runs`;
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

// Images: parsed when the first one is needed, since they are most of the file.

function source(number) {
  album = album || JSON.parse(byId("album").textContent);
  return album[number];
}

function pixelate(image, scale) {
  image.classList.toggle("crisp", (image.clientWidth * scale) / (image.naturalWidth || 1) >= 2);
}

const lazy = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    lazy.unobserve(target);
    target.addEventListener("load", () => pixelate(target, 1));
    target.src = source(target.dataset.image);
  }
}, { rootMargin: "400px" });
document.querySelectorAll("[data-image]").forEach((image) => lazy.observe(image));

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
  for (const [side, preferred] of [["leftside", "target"], ["rightside", "restored"]]) {
    const select = byId(side), before = select.value || preferred;
    select.replaceChildren(...names.map((name) => new Option(name, name)));
    select.value = [before, preferred, names[0]].find((name) => names.includes(name)) || "";
  }
  document.querySelectorAll("[data-run]").forEach((node) => node.classList.toggle("chosen", node.dataset.run === String(run.id)));
  load();
}

function load() {
  for (const image of [left, right]) {
    const name = byId(`${image.id}side`).value, uri = name ? source(run.images[name]) : "";
    image.hidden = !uri;
    if (uri) image.src = uri;
    image.alt = name;
    byId(`${image.id}name`).textContent = name;
  }
  byId("cut").setAttribute("aria-label", `Compare: how much of ${left.alt} covers ${right.alt}, in percent`);
  arrange();
}

// Apply slider, zoom and position. Both images fill the frame, whatever their own sizes.
function arrange() {
  const width = frame.clientWidth, height = frame.clientHeight;
  const natural = right.naturalWidth ? right : left;
  if (natural.naturalWidth) frame.style.aspectRatio = `${natural.naturalWidth} / ${natural.naturalHeight}`;
  x = Math.min(0, Math.max(x, width * (1 - zoom)));
  y = Math.min(0, Math.max(y, height * (1 - zoom)));
  for (const image of [left, right]) {
    image.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    pixelate(image, zoom);
  }
  // The slider is a position in the frame, the clip one in the image, which may be moved and magnified.
  const cut = Number(byId("cut").value), kept = ((cut / 100) * width - x) / zoom;
  left.style.clipPath = `inset(0 ${Math.max(0, width - kept)}px 0 0)`;
  byId("handle").style.left = `${cut}%`;
  byId("leftname").style.opacity = cut > 4 ? 1 : 0;
  byId("rightname").style.opacity = cut < 96 ? 1 : 0;
  frame.classList.toggle("zoomed", zoom > 1);
}

// Zoom around the point (u, v) of the frame, as fractions of its width and height.
function magnify(factor, u, v) {
  const ratio = factor / zoom;
  x = u * frame.clientWidth * (1 - ratio) + x * ratio;
  y = v * frame.clientHeight * (1 - ratio) + y * ratio;
  zoom = factor;
  byId("zoom").value = zoom;
  arrange();
}

function position(event) {
  const box = frame.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

// Dragging moves the slider, or the image when it is magnified.
function drag(event) {
  if (zoom === 1) byId("cut").value = 100 * position(event)[0];
  else [x, y] = [x + event.clientX - last.clientX, y + event.clientY - last.clientY];
  last = event;
  arrange();
}

frame.addEventListener("pointerdown", (event) => {
  frame.setPointerCapture(event.pointerId);
  last = event;
  if (zoom === 1) drag(event);
});
frame.addEventListener("pointermove", (event) => { if (event.buttons && last) drag(event); });
frame.addEventListener("dblclick", (event) => magnify(zoom > 1 ? 1 : 4, ...position(event)));
byId("cut").addEventListener("input", arrange);
byId("zoom").addEventListener("input", () => magnify(Number(byId("zoom").value), 0.5, 0.5));
for (const image of [left, right]) {
  image.addEventListener("load", arrange);
  byId(`${image.id}side`).addEventListener("change", load);
}
for (const [id, by] of [["previous", -1], ["next", 1]])
  byId(id).addEventListener("click", () => show(shown[(shown.indexOf(run) + by + shown.length) % shown.length]));
document.addEventListener("click", (event) => {
  const picked = event.target.closest("[data-pick]"), copied = event.target.closest("[data-copy]");
  const head = event.target.closest("th[data-first]");
  if (head) sort(head);
  if (copied) copy(copied);
  if (!picked) return;
  show(runs[picked.dataset.pick]);
  byId("images").scrollIntoView({ block: "start" });
});
byId("filter").addEventListener("input", filter);
window.addEventListener("resize", arrange);
filter();
