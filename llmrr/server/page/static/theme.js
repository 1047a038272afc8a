// Before anything is drawn: the colours that were chosen here, else those of the system.
"use strict";
(() => {
  try {
    const chosen = localStorage.getItem("llmrr.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // A browser that keeps nothing.
  }
})();
