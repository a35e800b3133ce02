// Rating by keyboard: a digit answers the next open question, Enter saves, the left arrow goes back.
document.addEventListener("keydown", (event) => {
  const busy = event.target.matches("textarea, button, input:not([type=radio])"); // which have keys of their own
  const save = document.querySelector("#save");
  if (busy || !save || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter") save.click();
  else if (event.key === "ArrowLeft") document.querySelector("#back").click();
  else if (/^[0-9]$/.test(event.key)) {
    const open = [...document.querySelectorAll(".question")].find((question) => !question.querySelector("input:checked"));
    const labels = [...(open?.querySelectorAll("label") ?? [])];
    labels.find((label) => label.textContent.trim().startsWith(event.key + " "))?.querySelector("input")?.click();
  } else return;
  event.preventDefault();
});
