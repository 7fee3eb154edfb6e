// Sorts the table of pages by a column: press a heading once for ascending order, again for descending.
for (const table of document.querySelectorAll("table.freshness")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const order = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const sign = heading.ariaSort === "ascending" ? -1 : 1;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.ariaSort = sign > 0 ? "ascending" : "descending";
      const key = (row) => row.cells[column].dataset.sort;
      body.append(...[...body.rows].sort((a, b) => sign * order.compare(key(a), key(b))));
    });
  });
}
