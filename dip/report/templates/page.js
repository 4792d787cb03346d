// Brings the parts together: one filter and one colouring for the table, the curves and the pictures.

(() => {
  const data = JSON.parse(byId("data").textContent);
  const runs = data.runs;
  runs.forEach(describe);
  document.querySelectorAll("table").forEach(sortable);
  const rows = new Map([...byId("runs").tBodies[0].rows].map((row) => [Number(row.dataset.run), row]));
  const viewer = new Viewer(runs);
  const hidden = new Set();
  let shown = runs;

  const colour = byId("colour");
  colour.append(new Option(data.swept.length > 1 ? "all that differs" : data.swept[0] || "nothing differs", ""));
  if (data.swept.length > 1) data.swept.forEach((name) => colour.append(new Option(name, name)));
  colour.append(new Option("run", "\u0000run"));
  const keyOf = (run) => {
    if (colour.value === "") return Object.entries(run.options).map(([name, value]) => `${name}=${value}`).join(" ") || "all runs";
    if (colour.value === "\u0000run") return `#${run.id + 1} ${run.label}${run.seed === null ? "" : ` seed=${run.seed}`}`;
    return `${colour.value}=${run.options[colour.value] === undefined ? "–" : run.options[colour.value]}`;
  };
  const numbers = new Map();

  const lines = (name) => () => shown.filter((run) => !hidden.has(keyOf(run))).map((run) => {
    const [x, y] = run.curves[name];
    return { run, x, y, number: numbers.get(keyOf(run)), best: run.best && run.best[0] };
  });
  const charts = [new Chart(byId("loss"), lines("loss"), "loss"), new Chart(byId("psnr"), lines("psnr"), "PSNR in dB")];
  const redraw = () => charts.forEach((chart) => chart.render());

  function legend() {
    const counts = new Map();
    shown.forEach((run) => counts.set(keyOf(run), (counts.get(keyOf(run)) || 0) + 1));
    byId("legend").replaceChildren(...[...counts].map(([key, count]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!hidden.has(key)));
      const sample = draw("svg", { width: 22, height: 10, "aria-hidden": "true" });
      draw("path", { d: "M0 5H22", "stroke-width": 3, ...paint(numbers.get(key)) }, sample);
      button.append(sample, count > 1 ? `${key} (${count})` : key);
      button.addEventListener("click", () => {
        if (hidden.has(key)) hidden.delete(key); else hidden.add(key);
        button.setAttribute("aria-pressed", String(!hidden.has(key)));
        redraw();
      });
      return button;
    }));
  }

  function recolour() {
    hidden.clear();
    numbers.clear();
    runs.forEach((run) => { if (!numbers.has(keyOf(run))) numbers.set(keyOf(run), numbers.size); });
    legend();
    redraw();
  }

  function filter() {
    shown = runs.filter(matcher(byId("filter").value));
    const ids = new Set(shown.map((run) => run.id));
    rows.forEach((row, id) => { row.hidden = !ids.has(id); });
    byId("count").textContent = shown.length === runs.length ? `all ${runs.length} runs` : `${shown.length} of ${runs.length} runs`;
    viewer.restrict(shown);
    legend();
    redraw();
  }

  async function copy(button) {
    const text = runs[Number(button.dataset.copy)].command;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");  // browsers without the clipboard for local files
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const before = button.textContent;
    button.textContent = "copied";
    setTimeout(() => { button.textContent = before; }, 1200);
  }

  document.addEventListener("click", (event) => {
    const picked = event.target.closest("[data-pick]"), copied = event.target.closest("[data-copy]");
    if (copied) copy(copied);
    if (!picked) return;
    viewer.show(runs[Number(picked.dataset.pick)]);
    byId("images").scrollIntoView({ block: "start" });
  });
  byId("filter").addEventListener("input", filter);
  colour.addEventListener("change", recolour);
  const logarithmic = byId("loglosses");
  charts[0].log = logarithmic.checked;
  logarithmic.addEventListener("change", () => { charts[0].log = logarithmic.checked; charts[0].render(); });
  window.addEventListener("resize", () => viewer.arrange());
  const scored = runs.some((run) => run.curves.psnr[0].length);
  byId("psnr").closest("figure").hidden = !scored;
  document.documentElement.dataset.ready = "yes";
  recolour();
  filter();
})();
