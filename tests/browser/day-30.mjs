// The picture of docs/day-30.md: the first agents of a report, one on a line. `node day-30.mjs REPORT.html IMAGE.png`

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { launch } from "./browser.mjs";

const [report, image] = process.argv.slice(2);
const browser = await launch();
const page = await browser.newPage({ colorScheme: "light", viewport: { width: 1100, height: 800 } });
await page.goto(pathToFileURL(resolve(report)).href);
await page.locator("figure").first().screenshot({ path: image });
await browser.close();
