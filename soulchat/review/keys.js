// Proofreading by keyboard: k keeps, e edits, r asks why and removes, u undoes; not while somebody types.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const asked = document.querySelector("#reasons");
  if (asked && event.key === "Escape") document.querySelector("#cancel").click();
  if (["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName)) return;
  const button = {k: "keep", e: "edit", r: "remove", u: "undo"}[event.key];
  if (button) document.querySelector(`#${button}`)?.click();
  else if (asked && /^[1-9]$/.test(event.key)) document.querySelector(`#reason-${event.key}`)?.click();
});
