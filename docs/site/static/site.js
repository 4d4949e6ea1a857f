"use strict";

// Offers the versions that lie beside this one: build_site.py lists them in versions.js.
function offerVersions() {
  const told = document.querySelector("#versions");
  const own = DOCUMENTATION_OPTIONS.VERSION;
  if (!told || !window.versions || window.versions.every((one) => one === own)) return;
  const label = document.createElement("label");
  const choice = document.createElement("select");
  label.append("Version ", choice);
  for (const one of window.versions) choice.append(new Option(one, one, one === own, one === own));
  choice.addEventListener("change", () => {
    const root = document.documentElement.dataset.content_root;
    location.href = `${root}../${choice.value}/docs/index.html`;
  });
  told.append(label);
  told.hidden = false;
}

// What is wider than the page is scrolled by keys, too.
function reachWide() {
  for (const one of document.querySelectorAll("pre, .table-wrapper")) {
    if (one.scrollWidth > one.clientWidth) one.tabIndex = 0;
    else one.removeAttribute("tabindex");
  }
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
  offerVersions();
  reachWide();
  addEventListener("resize", reachWide);
});
