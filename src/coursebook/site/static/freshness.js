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

// The page was true when the site was built. Where nobody builds it any more, it says by itself what is overdue since.
const DAY = 86_400_000; // ms
const daysSince = (time) => (Date.now() - Date.parse(time)) / DAY;
const inDays = (days) => `${Math.floor(days)} day${Math.floor(days) === 1 ? "" : "s"} ago`;

for (const job of document.querySelectorAll("ul.jobs li[data-days]")) {
  const days = daysSince(job.dataset.ran);
  if (days > Number(job.dataset.days)) {
    const state = job.querySelector(".state");
    state.dataset.state = "overdue";
    state.textContent = `overdue: last ran ${inDays(days)}, at most ${job.dataset.days} allowed`;
  }
}

for (const table of document.querySelectorAll("table.freshness[data-max-age]")) {
  for (const row of table.tBodies[0].rows) {
    const state = row.querySelector(".state");
    const days = daysSince(row.cells[3].querySelector("time")?.dateTime);
    if (state.dataset.state === "current" && days > Number(table.dataset.maxAge)) {
      const reasons = document.createElement("span");
      reasons.className = "reasons";
      reasons.textContent = `executed ${inDays(days)}, at most ${table.dataset.maxAge} allowed`;
      state.dataset.state = state.textContent = state.parentElement.dataset.sort = "due";
      state.after(" ", reasons);
    }
  }
}
