// Filtering runs, and comparing two images of a run with a slider and zoom.
const byId = (id) => document.getElementById(id);
const runs = JSON.parse(byId("data").textContent), album = JSON.parse(byId("album").textContent);
const frame = byId("frame"), left = byId("left"), right = byId("right");
const preferred = { leftside: "target", rightside: "restored" }; // the images to compare, as far as a run has them
let shown = runs, run = null;

// Every word must be found. A word "name=value" must match exactly: "seed=1" does not find seed=10.
function filter() {
  const wanted = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = (words, word) => (word.includes("=") ? words.includes(word) : words.some((text) => text.includes(word)));
  shown = runs.filter((one) => wanted.every((word) => found(one.words, word)));
  document.querySelectorAll("[data-run]").forEach((node) => { node.hidden = !shown.includes(runs[node.dataset.run]); });
  byId("count").textContent = `${shown.length} of ${runs.length} runs`;
  byId("viewer").hidden = !shown.length;
  if (shown.length && !shown.includes(run)) show(shown.find((one) => Object.keys(one.images).length) || shown[0]);
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
  const names = Object.keys(run.images);
  for (const [side, other] of [["leftside", names.length > 1 ? names[0] : ""], ["rightside", names.at(-1)]]) {
    byId(side).replaceChildren(...names.map((name) => new Option(name, name)));
    byId(side).value = names.length > 1 && names.includes(preferred[side]) ? preferred[side] : other || "";
  }
  document.querySelectorAll("[data-run]").forEach((node) => node.classList.toggle("chosen", node.dataset.run === String(run.id)));
  load();
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

// Apply slider and zoom. Both images fill the frame, whatever their own sizes.
function arrange() {
  const zoom = Number(byId("zoom").value);
  frame.style.setProperty("--cut", `${byId("cut").value}%`);
  frame.style.setProperty("--zoom", zoom);
  frame.classList.toggle("zoomed", zoom > 1);
  for (const image of [left, right]) image.classList.toggle("crisp", (image.clientWidth * zoom) / (image.naturalWidth || 1) >= 2);
}

// Move the slider to the pointer, or magnified images to the part below it.
function follow(event) {
  const box = frame.getBoundingClientRect();
  const percent = (distance, length) => Math.min(100, Math.max(0, (100 * distance) / length));
  const x = percent(event.clientX - box.left, box.width), y = percent(event.clientY - box.top, box.height);
  if (byId("zoom").value > 1) frame.style.setProperty("--origin", `${x}% ${y}%`);
  else byId("cut").value = x;
  arrange();
}

frame.addEventListener("pointerdown", (event) => {
  frame.setPointerCapture(event.pointerId);
  follow(event);
});
frame.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
frame.addEventListener("dblclick", (event) => {
  byId("zoom").value = byId("zoom").value > 1 ? 1 : 4;
  follow(event);
});
for (const image of [left, right]) {
  image.addEventListener("load", () => {
    frame.style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
    arrange();
  });
  byId(`${image.id}side`).addEventListener("change", (event) => { preferred[event.target.id] = event.target.value; load(); });
}
for (const id of ["cut", "zoom"]) byId(id).addEventListener("input", arrange);
for (const [id, by] of [["previous", -1], ["next", 1]])
  byId(id).addEventListener("click", () => show(shown[(shown.indexOf(run) + by + shown.length) % shown.length]));
document.addEventListener("click", (event) => {
  const picked = event.target.closest("[data-pick]");
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
