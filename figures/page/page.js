"use strict";
// Sorting and finding for tables; without this script the page shows the same tables, unsorted.

function sortRows(header) {
  const column = header.cellIndex;
  const numbers = header.dataset.kind === "number";
  // The first click shows the largest number or the first letter; the next one turns it round.
  const before = header.getAttribute("aria-sort");
  const descending = before === null ? numbers : before === "ascending";
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = header.closest("table").tBodies[0];
  const entries = [...body.rows].map((row) => ({ row, key: row.cells[column].dataset.value }));
  entries.sort((a, b) => {
    // What is missing stays below, whichever way is up.
    if (a.key === "" || b.key === "") return (a.key === "") - (b.key === "");
    const order = numbers ? a.key - b.key : a.key.localeCompare(b.key, "en", { numeric: true });
    return descending ? -order : order;
  });
  body.append(...entries.map((entry) => entry.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sortRows(header));
    header.append(button);
  }
}

const find = document.getElementById("find");
find.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  const rows = [...document.querySelectorAll("#formats tbody tr")];
  for (const row of rows) row.hidden = !row.dataset.words.toLowerCase().includes(wanted);
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("found").textContent = wanted ? `${shown} of ${rows.length}` : "";
});

function openCard() {
  const card = document.getElementById(location.hash.slice(1));
  if (card instanceof HTMLDetailsElement) card.open = true;
}
window.addEventListener("hashchange", openCard);
openCard();
