// Rating by keyboard: a digit answers the next open question, Enter saves, the left arrow goes back.
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("textarea, input:not([type=radio])");
  const save = document.querySelector("#save");
  if (typing || !save || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter") save.click();
  else if (event.key === "ArrowLeft") document.querySelector("#back").click();
  else if (/^[0-9]$/.test(event.key)) {
    const open = [...document.querySelectorAll(".question")].find((question) => !question.querySelector("input:checked"));
    open?.querySelectorAll("input[type=radio]")[Number(event.key)]?.click();
  } else return;
  event.preventDefault();
});
