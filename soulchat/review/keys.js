// Proofreading by keyboard: k keeps, e edits, r removes, u undoes; not while somebody types.
document.addEventListener("keydown", (event) => {
  const typing = ["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName);
  const button = {k: "keep", e: "edit", r: "remove", u: "undo"}[event.key];
  if (typing || !button || event.ctrlKey || event.metaKey || event.altKey) return;
  document.querySelector(`#${button}`)?.click();
});
