/**
 * The front page of the demos: one card per demo, with the title and description of its own page. The page has no script
 * and only loads its style sheet.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** @typedef {{ name: string, title: string, description: string }} Demo */

/** The demo that is shown first and largest: the one for the user's own data. */
const FIRST = 'studio';

/** Every folder of `demos/` with a page: the studio, then the others by name. @param {string} root @returns {Demo[]} */
export function demosIn(root) {
  const names = readdirSync(join(root, 'demos')).filter((name) => name !== FIRST);
  return [FIRST, ...names]
    .map((name) => ({ name, page: join(root, 'demos', name, 'index.html') }))
    .filter(({ page }) => existsSync(page))
    .map(({ name, page }) => ({ name, ...described(readFileSync(page, 'utf8'), page) }));
}

/** @param {string} html @param {string} page */
function described(html, page) {
  const title = /<title>(.*?) · webalign<\/title>/.exec(html)?.[1];
  const description = /<meta name="description" content="([^"]+)"/.exec(html)?.[1];
  if (title && description) return { title, description };
  throw new Error(`${page}: needs <title>… · webalign</title> and <meta name="description" content="…">`);
}

/** The page. Titles and descriptions are already HTML. @param {readonly Demo[]} demos */
export const frontPage = (demos) => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta
      http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    />
    <meta name="color-scheme" content="light dark" />
    <meta name="description" content="Train small language models on preferences on your own GPU, in a browser tab." />
    <title>webalign</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="front/style.css" />
  </head>
  <body>
    <header class="top">
      <p class="brand"><span class="mark" aria-hidden="true"></span>webalign</p>
    </header>
    <main>
      <h1>Train small language models on preferences, in this browser</h1>
      <p class="lead">
        Everything runs on your own GPU, through WebGPU. Each page loads its files from here once, and sends nothing. A current Chrome,
        Edge, Firefox or Safari is needed.
      </p>
      <ul class="demos">
${demos.map(card).join('\n')}
      </ul>
    </main>
  </body>
</html>
`;

/** @param {Demo} demo */
const card = ({ name, title, description }) => `        <li>
          <a class="card" href="${name}/">
            <h2>${title}</h2>
            <p>${description}</p>
          </a>
        </li>`;
