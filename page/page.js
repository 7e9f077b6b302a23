/* What Gradio leaves out: its radios have a name each, so that no arrow key moves from one to the
   next, and its pictures have no text in their place. */
new MutationObserver(() => {
  for (const radio of document.querySelectorAll("fieldset.block input[type=radio]")) {
    const name = radio.closest("fieldset").id;
    if (name && radio.name !== name) radio.name = name;
  }
  for (const image of document.querySelectorAll(".block img")) {
    const label = image.closest(".block").querySelector("[data-testid=block-label]");
    if (!image.alt && label) image.alt = label.innerText.trim();
  }
}).observe(document, { childList: true, subtree: true, attributeFilter: ["name"] });
