/**
 * `node demos/studio/rule.mjs`: lets a rule play the user of the studio, on the code of the page, in Node. Some minutes on two cores.
 * `node demos/studio/rule.mjs online`: learning from the same number of picks online and afterwards.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import { build } from '../../esbuild.config.mjs';
import { wgsl } from '../../shaders/include.mjs';

const NAMES = ['main', 'online'];
const name = NAMES.find((each) => process.argv[2] === each) ?? 'main';
const OUT = `dist/studio-rule/${name}.js`;

await build(['library']);
await esbuild.build({
  entryPoints: [`demos/studio/rule/${name}.ts`],
  outfile: OUT,
  bundle: true,
  format: 'esm',
  platform: 'node',
  packages: 'external',
  plugins: [wgsl('shaders')],
  logLevel: 'warning',
});
await import(pathToFileURL(join(process.cwd(), OUT)).href);
