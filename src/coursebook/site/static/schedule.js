// Marks the next class by the reader's own date: the page may have been built days ago.
const today = new Intl.DateTimeFormat("en-CA").format(new Date()); // 2027-02-18
for (const table of document.querySelectorAll("table.schedule")) {
  const rows = [...table.tBodies[0].rows];
  const next = rows.find((row) => row.querySelector("time")?.dateTime >= today);
  rows.forEach((row) => row.classList.toggle("next-class", row === next));
}
