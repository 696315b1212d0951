// Pictures of every page, to be looked at: `node pictures.mjs URL TOKEN TENANT FOLDER`. Light and dark,
// desktop and phone.
import { mkdirSync } from "node:fs";
import { launch } from "./browser.mjs";
import { signIn } from "./steps.mjs";

const [url, token, tenant, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await launch();
const page = await browser.newPage();
await page.goto(`${url}/sign-in`);
const pages = [["sign-in", "/sign-in"]];
await signIn(page, url, token);

/** The first link that begins like this, on a page. */
async function first(path, prefix) {
  await page.goto(url + path);
  return page.evaluate((prefix) => {
    const link = [...document.querySelectorAll("main a")].find((a) => a.getAttribute("href").startsWith(prefix));
    return link?.getAttribute("href");
  }, prefix);
}
const own = `/tenants/${tenant}`;
pages.push(["overview", "/"], ["tenant", own], ["tenants", "/tenants"], ["system", "/system"]);
pages.push(["endpoints", `${own}/endpoints`], ["endpoint-new", `${own}/endpoints/new`]);
pages.push(["events", `${own}/events`], ["tokens", `${own}/tokens`], ["links", `${own}/links`], ["jobs", "/jobs"]);
pages.push(["dead-letters", "/dead-letters"], ["nowhere", "/nowhere"]);
// One that answers and one that does not, as the overview lists them.
for (const [name, path, prefix] of [["endpoint", `${own}/endpoints`, `${own}/endpoints/ep_`], ["failing", own, `${own}/endpoints/ep_`]]) {
  const found = await first(path, prefix);
  if (!found) continue;
  pages.push([name, found]);
  if (name === "endpoint") for (const more of ["edit", "rotate-secret", "recover", "delete"]) pages.push([`endpoint-${more}`, `${found}/${more}`]);
  const delivery = await first(found, `${found}/events/`);
  if (delivery) pages.push([`${name}-delivery`, delivery]);
}
for (const [name, path, prefix] of [["event", `${own}/events`, `${own}/events/`], ["dead-letter", "/dead-letters", "/dead-letters/"], ["job", "/jobs", "/jobs/"]]) {
  const found = await first(path, prefix);
  if (found) pages.push([name, found]);
}
const only = process.env.ONLY?.split(",");
for (const [name, path] of pages.filter(([name]) => !only || only.includes(name))) {
  for (const scheme of ["light", "dark"]) {
    for (const [device, width, height] of [["desktop", 1280, 800], ["phone", 390, 844]]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.setViewport({ width, height, deviceScaleFactor: 1, isMobile: device === "phone" });
      await page.goto(url + path, { waitUntil: "load" });
      await new Promise((resolve) => setTimeout(resolve, 400));
      const wide = await page.evaluate((width) => document.documentElement.scrollWidth - width, width);
      if (wide > 0) { console.error(`${name} ${device}: ${wide} px too wide`); process.exitCode = 1; }
      await page.screenshot({ path: `${folder}/${name}-${scheme}-${device}.png`, fullPage: true });
    }
  }
}
await browser.close();
