// Rating by keyboard: a digit answers the next open question, Enter saves, the left arrow goes back.
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("textarea, input:not([type=radio])");
  const pressing = event.target.matches("button") && event.key === "Enter"; // the key is the button's
  const save = document.querySelector("#save");
  if (typing || pressing || !save || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter") save.click();
  else if (event.key === "ArrowLeft") document.querySelector("#back").click();
  else if (/^[0-9]$/.test(event.key)) {
    const open = [...document.querySelectorAll(".question")].find((question) => !question.querySelector("input:checked"));
    const labels = [...(open?.querySelectorAll("label") ?? [])];
    labels.find((label) => label.textContent.trim().startsWith(event.key + " "))?.querySelector("input")?.click();
  } else return;
  event.preventDefault();
});
