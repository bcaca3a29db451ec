// Opens every page in Chromium, light and dark, wide and on a phone, signed in by the one-time
// link. Fails on a console error, a refused resource, a dialog, or a page wider than the window.
const { chromium } = require("playwright-core");

const [link, executablePath] = process.argv.slice(2);
const base = new URL(link).origin;
const flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const problems = [];

function watch(page, where) {
  page.on("console", (message) => message.type() === "error" && problems.push(`${where}: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`${where}: ${error}`));
  page.on("dialog", (dialog) => { problems.push(`${where}: a dialog: ${dialog.message()}`); dialog.dismiss(); });
}

async function look(page, path, where) {
  const answer = await page.goto(base + path);
  if (answer.status() !== 200) problems.push(`${where} ${path}: status ${answer.status()}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (wide > 0) problems.push(`${where} ${path}: ${wide} pixels wider than the window`);
}

async function first(page, list, prefix) {
  await page.goto(base + list);
  return page.getAttribute(`main a[href^="${prefix}"]`, "href");
}

(async () => {
  const browser = await chromium.launch({ executablePath, args: flags });
  const context = await browser.newContext();
  const page = await context.newPage();
  watch(page, "login");
  await page.goto(link);
  await page.click("button");
  const paths = ["/", "/events", "/secrets", "/principals", "/deliveries", "/receivers", "/rejects", "/sources", "/rules"];
  paths.push(await first(page, "/?last=all", "/alerts/"), await first(page, "/secrets", "/secrets/"));
  paths.push(await first(page, "/principals", "/principals/"), await first(page, "/events", "/events/"));
  const storageState = await context.storageState();
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 360]) {
      const view = await browser.newContext({ storageState, colorScheme, viewport: { width, height: 800 } });
      const page = await view.newPage();
      const where = `${colorScheme} ${width}`;
      watch(page, where);
      for (const path of paths) await look(page, path, where);
      await view.close();
    }
  }
  await browser.close();
  problems.forEach((problem) => console.error(problem));
  process.exit(problems.length ? 1 : 0);
})().catch((error) => { console.error(error); process.exit(1); });
