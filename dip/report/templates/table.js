// Tables that sort by a click or a key on their headers. A missing value is last in both directions.

function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const opposite = { ascending: "descending", descending: "ascending" };
      const direction = opposite[head.getAttribute("aria-sort")] || head.dataset.first;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [row.cells[column].dataset.key, row]);
      const numeric = rows.every(([key]) => key === "" || !Number.isNaN(Number(key)));
      rows.sort(([a], [b]) => {
        if (a === "" || b === "") return (a === "") - (b === "");
        return sign * (numeric ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// Which runs hold every word of the filter: in "name=value" form, so that "seed=1" does not find seed=10.
function matcher(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return (run) => wanted.every((word) => (word.includes("=") ? run.words.includes(word) : run.text.includes(word)));
}

function describe(run) {
  const pairs = Object.entries(run.options).map(([name, value]) => `${name}=${value}`);
  if (run.seed !== null) pairs.push(`seed=${run.seed}`);
  pairs.push(`status=${run.status}`);
  run.words = pairs.map((pair) => pair.toLowerCase());
  run.text = [...run.words, run.status, run.folder, run.error || ""].join(" ").toLowerCase();
}
