/**
 * `npm run api`: generates the API reference from the doc comments, in dist/api. A link that leads nowhere, or to something
 * that no entry exports, is an error. TypeDoc needs an older compiler interface of TypeScript, so it has its own lock file
 * and is installed on the first run, into test/api/node_modules.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');

if (!existsSync(join(here, 'node_modules/typedoc'))) {
  console.log('Installing TypeDoc into test/api/node_modules …');
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', here], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** @type {{ version: string, exports: Record<string, unknown> }} */
const { version, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entries = Object.entries(exports)
  .filter(([, target]) => typeof target === 'object')
  .map(([path]) => join(root, 'src', `${path === '.' ? 'index' : path.slice(2)}.ts`));

const { Application, TSConfigReader, TypeDocReader } = await import('typedoc');
const app = await Application.bootstrapWithPlugins(
  {
    options: join(here, 'typedoc.json'),
    name: `webalign ${version}`,
    entryPoints: entries,
  },
  [new TypeDocReader(), new TSConfigReader()],
);
const project = await app.convert();
if (project) {
  app.validate(project);
  if (!app.logger.hasErrors() && !app.logger.hasWarnings()) await app.generateOutputs(project);
}
if (!project || app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
console.log('Open dist/api/index.html.');
