// One run's pictures over each other with a slider between them, and a card per run to choose from.

const SIDES = ["target", "restored", "reference"]; // of a card
const byId = (id) => document.getElementById(id);

// The pictures are most of the page's weight: they are parsed when the first one comes near the screen.
let album = null;
function picture(number) {
  album = album || JSON.parse(byId("pictures").textContent);
  return number === undefined ? "" : album[number];
}

function crisp(image, zoom) {
  image.classList.toggle("crisp", (image.clientWidth * zoom) / (image.naturalWidth || 1) >= 2);
}

class Viewer {
  constructor(runs) {
    Object.assign(this, { runs, shown: runs, run: null, zoom: 1, x: 0, y: 0 });
    this.left = byId("left");
    this.right = byId("right");
    this.cards = runs.map((run) => this.card(run));
    byId("cards").append(...this.cards);
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        watch.unobserve(entry.target);
        for (const image of entry.target.querySelectorAll("img[data-number]")) {
          image.addEventListener("load", () => crisp(image, 1));
          image.src = picture(Number(image.dataset.number));
        }
      }
    }, { rootMargin: "400px" });
    this.cards.forEach((card) => watch.observe(card));
    byId("cut").addEventListener("input", () => this.arrange());
    byId("zoom").addEventListener("input", () => this.magnify(Number(byId("zoom").value), 0.5, 0.5));
    for (const side of ["left", "right"]) {
      byId(`${side}side`).addEventListener("change", () => this.load());
      this[side].addEventListener("load", () => this.arrange());
    }
    byId("previous").addEventListener("click", () => this.walk(-1));
    byId("next").addEventListener("click", () => this.walk(1));
    this.drag(byId("frame"));
  }

  card(run) {
    const card = document.createElement("button");
    card.type = "button";
    card.className = "card";
    card.dataset.pick = run.id;
    const row = document.createElement("span");
    row.className = "row";
    for (const side of SIDES) {
      const cell = document.createElement("span");
      cell.className = "cell";
      const known = run.pictures[side] !== undefined;
      const image = document.createElement(known ? "img" : "span");
      if (known) {
        image.alt = "";
        image.dataset.number = run.pictures[side];
      } else image.className = "missing";
      cell.append(image, known ? side : `no ${side}`);
      row.append(cell);
    }
    const title = document.createElement("span");
    title.className = "title";
    title.textContent = `#${run.id + 1} ${run.label}`;
    const score = document.createElement("span");
    score.className = "score";
    const words = [];
    if (run.seed !== null) words.push(`seed ${run.seed}`);
    if (run.psnr !== null) words.push(`${run.psnr.toFixed(2)} dB`);
    if (!["finished", "stopped"].includes(run.status)) words.push(run.status);
    score.textContent = words.join(" · ");
    card.append(row, title, score);
    return card;
  }

  // Only the runs that the filter leaves.
  restrict(shown) {
    this.shown = shown;
    const ids = new Set(shown.map((run) => run.id));
    this.cards.forEach((card, id) => { card.hidden = !ids.has(id); });
    if (shown.length && !ids.has(this.run && this.run.id)) this.show(shown.find((run) => Object.keys(run.pictures).length) || shown[0]);
    byId("viewer").hidden = !shown.length;
  }

  walk(by) {
    const at = this.shown.indexOf(this.run);
    if (this.shown.length) this.show(this.shown[(at + by + this.shown.length) % this.shown.length]);
  }

  show(run) {
    this.run = run;
    byId("runlabel").textContent = `#${run.id + 1} ${run.label}`;
    const facts = [
      ["seed", run.seed], ["status", run.status], ["steps", run.steps && run.steps.toLocaleString("en")],
      ["PSNR", run.psnr !== null && `${run.psnr.toFixed(2)} dB`],
      ["best PSNR", run.best && `${run.best[1].toFixed(2)} dB at step ${run.best[0].toLocaleString("en")}`],
      ...Object.entries(run.answers).map(([name, psnr]) => [name, `${psnr.toFixed(2)} dB`]),
      ["restored at", run.restored && `step ${run.restored.toLocaleString("en")}`], ["error", run.error], ["folder", run.folder],
    ];
    byId("runfacts").replaceChildren(...facts.filter(([, value]) => value || value === 0).flatMap(([name, value]) => {
      const term = document.createElement("dt"), fact = document.createElement("dd");
      term.textContent = name;
      fact.textContent = value;
      return [term, fact];
    }));
    byId("runcommand").textContent = run.command || "its options are not known";
    byId("runcopy").hidden = !run.command;
    byId("runcopy").dataset.copy = run.id;
    const known = Object.keys(run.pictures);
    for (const [side, wish] of [["leftside", "target"], ["rightside", "restored"]]) {
      const select = byId(side), before = select.value || wish;
      select.replaceChildren(...known.map((name) => new Option(name, name)));
      select.value = known.includes(before) ? before : known.includes(wish) ? wish : known[0] || "";
    }
    for (const node of document.querySelectorAll(".chosen")) node.classList.remove("chosen");
    this.cards[run.id].classList.add("chosen");
    document.querySelector(`tr[data-run="${run.id}"]`).classList.add("chosen");
    this.load();
  }

  load() {
    for (const side of ["left", "right"]) {
      const name = byId(`${side}side`).value;
      const source = name ? picture(this.run.pictures[name]) : "";
      this[side].hidden = !source;
      if (source) this[side].src = source;
      this[side].alt = name;
      byId(`${side}name`).textContent = name;
    }
    byId("cut").setAttribute("aria-label", `Compare: how much of ${this.left.alt} covers ${this.right.alt}, in percent`);
    this.arrange();
  }

  // Puts slider, zoom and position into effect. Both pictures fill the frame, whatever their own sizes.
  arrange() {
    const frame = byId("frame"), width = frame.clientWidth, height = frame.clientHeight;
    const natural = this.right.naturalWidth ? this.right : this.left;
    if (natural.naturalWidth) frame.style.aspectRatio = `${natural.naturalWidth} / ${natural.naturalHeight}`;
    this.x = Math.min(0, Math.max(this.x, width * (1 - this.zoom)));
    this.y = Math.min(0, Math.max(this.y, height * (1 - this.zoom)));
    const cut = Number(byId("cut").value);
    for (const image of [this.left, this.right]) {
      image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.zoom})`;
      crisp(image, this.zoom);
    }
    // The cut is a place in the frame; the clip is one in the picture, which may be moved and magnified.
    const kept = ((cut / 100) * width - this.x) / this.zoom;
    this.left.style.clipPath = `inset(0 ${Math.max(0, width - kept)}px 0 0)`;
    byId("handle").style.left = `${cut}%`;
    byId("leftname").style.opacity = cut > 4 ? 1 : 0;
    byId("rightname").style.opacity = cut < 96 ? 1 : 0;
    frame.classList.toggle("zoomed", this.zoom > 1);
  }

  // Zooms with the point (u, v) of the frame, in parts of its width and height, standing still.
  magnify(zoom, u, v) {
    const frame = byId("frame"), ratio = zoom / this.zoom;
    this.x = u * frame.clientWidth * (1 - ratio) + this.x * ratio;
    this.y = v * frame.clientHeight * (1 - ratio) + this.y * ratio;
    this.zoom = zoom;
    byId("zoom").value = zoom;
    this.arrange();
  }

  // Dragging moves the slider, or the picture when it is magnified; a double click zooms in and out again.
  drag(frame) {
    let last = null;
    const place = (event) => {
      const box = frame.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    frame.addEventListener("pointerdown", (event) => {
      last = event;
      frame.setPointerCapture(event.pointerId);
      if (this.zoom === 1) this.cutAt(place(event)[0]);
    });
    frame.addEventListener("pointermove", (event) => {
      if (!last) return;
      if (this.zoom === 1) this.cutAt(place(event)[0]);
      else {
        this.x += event.clientX - last.clientX;
        this.y += event.clientY - last.clientY;
        this.arrange();
      }
      last = event;
    });
    for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, () => { last = null; });
    frame.addEventListener("dblclick", (event) => this.magnify(this.zoom > 1 ? 1 : 4, ...place(event)));
  }

  cutAt(part) {
    byId("cut").value = 100 * part;
    this.arrange();
  }
}
