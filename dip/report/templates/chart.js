// Curves against a logarithmic step axis, drawn as SVG at the width there is, with the nearest one named on hover.

const SVG = "http://www.w3.org/2000/svg";

function draw(name, attributes, parent) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (parent) parent.append(node);
  return node;
}

function paint(number) {
  const dashes = ["", "7 3", "2 3", "8 3 2 3"][Math.floor(number / 7) % 4];
  return { stroke: `var(--c${number % 7})`, "stroke-dasharray": dashes };
}

function legible(value) {
  return String(Number(value.toPrecision(4)));
}

// Round numbers between two bounds: powers of ten with 2 and 5 between them, or even steps.
function ticks(low, high, log) {
  const found = [];
  if (log) {
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
      for (const factor of high / low > 2000 ? [1] : [1, 2, 5]) found.push(Number((factor * 10 ** power).toPrecision(3)));
  } else {
    const rough = (high - low) / 5;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = unit * [1, 2, 5, 10].find((factor) => factor * unit >= rough);
    for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) found.push(value);
  }
  return found.filter((value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
}

class Chart {
  // lines(): [{run, number, x, y, best}] to show; number picks the colour.
  constructor(host, lines, unit) {
    Object.assign(this, { host, lines, unit, log: false });
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    host.addEventListener("pointermove", (event) => this.point(event));
    host.addEventListener("pointerdown", (event) => this.point(event));
    host.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.render()).observe(host);
  }

  render() {
    const { host } = this;
    const width = host.clientWidth, height = host.clientHeight;
    if (!width) return;
    this.shown = this.lines().filter((line) => line.x.length);
    this.near = null;
    this.tip.hidden = true;
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    svg.setAttribute("aria-label", `${this.unit} against step, ${this.shown.length} curves`);
    host.replaceChildren(svg, this.tip);
    host.classList.toggle("busy", this.shown.length > 30);
    if (!this.shown.length) {
      const text = draw("text", { x: width / 2, y: height / 2, "text-anchor": "middle", class: "empty" }, svg);
      text.textContent = "nothing to show";
      return;
    }
    const box = { left: 46, right: width - 10, top: 12, bottom: height - 36 };
    const steps = this.shown.map((line) => [line.x[0], line.x[line.x.length - 1]]);
    const first = Math.max(1, Math.min(...steps.map((pair) => pair[0])));
    // A curve's last point is the middle of its last stretch: the axis goes on to the step itself.
    const last = Math.max(2 * first, ...this.shown.map((line) => line.run.steps || 1), ...steps.map((pair) => pair[1]));
    let low = Infinity, high = -Infinity;
    for (const line of this.shown) for (const value of line.y) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const log = this.log && low > 0;
    if (log) [low, high] = [low / 1.15, high * 1.15];
    else [low, high] = [low - 0.06 * (high - low || 1), high + 0.06 * (high - low || 1)];
    const scale = log ? Math.log : (value) => value;
    this.x = (step) => box.left + ((box.right - box.left) * Math.log(step / first)) / Math.log(last / first);
    this.y = (value) => box.bottom - ((box.bottom - box.top) * (scale(value) - scale(low))) / (scale(high) - scale(low));
    this.axes(svg, box, first, last, ticks(low, high, log));
    for (const line of this.shown) {
      const points = line.x.map((step, index) => `${this.x(step).toFixed(1)} ${this.y(line.y[index]).toFixed(1)}`);
      line.node = draw("path", { class: "line", d: `M${points.join("L")}`, ...paint(line.number) }, svg);
    }
    for (const line of this.shown) {
      if (!line.best) continue;
      const at = [this.x(line.best), this.y(at_step(line, line.best))];
      line.dot = draw("circle", { class: "best", cx: at[0], cy: at[1], r: 4.5, fill: `var(--c${line.number % 7})` }, svg);
    }
  }

  axes(svg, box, first, last, values) {
    for (const value of values) {
      const y = this.y(value);
      draw("path", { class: "rule", d: `M${box.left} ${y}H${box.right}` }, svg);
      const text = draw("text", { x: box.left - 7, y: y + 4, "text-anchor": "end" }, svg);
      text.textContent = legible(value);
    }
    draw("path", { class: "axis", d: `M${box.left} ${box.bottom}H${box.right}` }, svg);
    for (let power = 0; 10 ** power <= last * 1.001; power++) {
      for (let factor = 1; factor < 10; factor++) {
        const step = factor * 10 ** power;
        if (step < first * 0.999 || step > last * 1.001) continue;
        const x = this.x(step);
        draw("path", { class: "axis", d: `M${x} ${box.bottom}v${factor === 1 ? 6 : 3}` }, svg);
        if (factor > 1 && (last / first > 30 || ![2, 5].includes(factor))) continue;
        const text = draw("text", { x, y: box.bottom + 19, "text-anchor": x > box.right - 20 ? "end" : "middle" }, svg);
        text.textContent = step.toLocaleString("en");
      }
    }
    const name = draw("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle" }, svg);
    name.textContent = "step";
  }

  point(event) {
    if (!this.shown || !this.shown.length) return;
    let found = null, distance = 40 ** 2;
    const bounds = this.host.getBoundingClientRect();
    const at = event && [event.clientX - bounds.left, event.clientY - bounds.top];
    for (const line of event ? this.shown : []) {
      line.x.forEach((step, index) => {
        const apart = (this.x(step) - at[0]) ** 2 + (this.y(line.y[index]) - at[1]) ** 2;
        if (apart < distance) [distance, found] = [apart, { line, index }];
      });
    }
    for (const line of this.shown) {
      line.node.classList.toggle("near", Boolean(found) && line === found.line);
      line.node.classList.toggle("dim", Boolean(found) && line !== found.line);
      if (line.dot) line.dot.classList.toggle("dim", Boolean(found) && line !== found.line);
    }
    this.tip.hidden = !found;
    if (!found) return;
    const { line, index } = found;
    const seed = line.run.seed === null ? "" : ` seed=${line.run.seed}`;
    const best = line.run.best ? `\nbest ${line.run.best[1].toFixed(2)} dB at step ${line.run.best[0].toLocaleString("en")}` : "";
    const step = Math.round(line.x[index]).toLocaleString("en");
    this.tip.style.whiteSpace = "pre-line";
    this.tip.textContent = `#${line.run.id + 1} ${line.run.label}${seed}\nstep ${step}: ${legible(line.y[index])}${best}`;
    const x = this.x(line.x[index]), y = this.y(line.y[index]);
    const left = x > bounds.width / 2 ? x - this.tip.offsetWidth - 12 : x + 12;
    this.tip.style.left = `${Math.max(0, Math.min(left, bounds.width - this.tip.offsetWidth))}px`;
    this.tip.style.top = `${Math.max(0, y > this.tip.offsetHeight + 14 ? y - this.tip.offsetHeight - 14 : y + 14)}px`;
  }
}

// The value of a line at a step, between its two neighbours on the logarithmic axis.
function at_step(line, step) {
  const { x, y } = line;
  const after = x.findIndex((other) => other >= step);
  if (after <= 0) return after === 0 ? y[0] : y[y.length - 1];
  const part = Math.log(step / x[after - 1]) / Math.log(x[after] / x[after - 1]);
  return y[after - 1] + part * (y[after] - y[after - 1]);
}
