// Sorts the table of pages by a column: press a heading once for ascending order, again for descending.
for (const table of document.querySelectorAll("table.freshness")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  // Numbers by their values: to a collator 5.13 comes before 5.017, since 13 comes before 17.
  const order = (a, b) => (isFinite(a) && isFinite(b) ? a - b : words.compare(a, b));
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const sign = heading.ariaSort === "ascending" ? -1 : 1;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.ariaSort = sign > 0 ? "ascending" : "descending";
      const key = (row) => row.cells[column].dataset.sort;
      body.append(...[...body.rows].sort((a, b) => sign * order(key(a), key(b))));
    });
  });
}
