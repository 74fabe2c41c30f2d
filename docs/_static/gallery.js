// Sorts the cards of the gallery of cells.
document.addEventListener("DOMContentLoaded", () => {
  const choice = document.getElementById("gallery-sort");
  const gallery = document.getElementById("gallery");
  if (!choice || !gallery) return;
  const key = (card) => card.dataset[choice.value];
  const compare = (a, b) => {
    const difference = Number(key(a)) - Number(key(b));
    const byText = Number.isNaN(difference) ? key(a).localeCompare(key(b)) : difference;
    return byText || Number(a.dataset.order) - Number(b.dataset.order);
  };
  choice.addEventListener("change", () => {
    gallery.append(...[...gallery.querySelectorAll(".cell-card")].sort(compare));
  });
});
