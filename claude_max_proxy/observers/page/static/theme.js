// Before the first paint: the theme that was chosen here last. Without it, the system's own is used.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage, no choice: nothing is lost.
}
