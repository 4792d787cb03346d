"use strict";

// Tables: a click on a header sorts by its column, numbers first from high to low. Missing values are always last.

function sort(head) {
  const table = head.closest("table"), column = head.cellIndex, before = head.getAttribute("aria-sort");
  const direction = (before ? before === "descending" : !head.classList.contains("number")) ? "ascending" : "descending";
  table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1, key = (row) => row.cells[column].dataset.key;
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort((first, second) => {
    const [a, b] = [key(first), key(second)];
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (Number(a) - Number(b) || a.localeCompare(b, "en", { numeric: true }));
  }));
}

document.addEventListener("click", (event) => {
  const head = event.target.closest("th button");
  if (head) sort(head.parentNode);
});
