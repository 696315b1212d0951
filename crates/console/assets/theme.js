// Before the page is painted: the theme that was chosen, if one was.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch { /* Storage is off: the system's theme it is. */ }
