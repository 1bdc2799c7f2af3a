// Before anything is painted: the theme that was chosen, so that nothing flashes. No module, because those wait.
const chosen = window.localStorage.getItem("spanlight.theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
