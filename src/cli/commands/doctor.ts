/**
 * `webalign doctor`: this machine's adapter, and whether its kernels compute correct results.
 */
import type { Gpu } from '../../gpu/device.ts';
import { formatBytes } from '../../gpu/errors.ts';
import { writeFileAtomic } from '../../node/folder.ts';
import { isInstalled } from '../../node/packages.ts';
import { launchChromium } from '../../testing.ts';
import { command } from '../command.ts';
import { type JunitCase, junitReport } from '../junit.ts';
import { adapterName, withGpu } from '../open.ts';
import { runSelfTest } from '../self-test.ts';
import type { Terminal } from '../terminal.ts';

/** The limits that determine what fits. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
] as const;
const IN_BYTES: readonly string[] = LIMITS.filter((name) =>
  /(?:BindingSize|BufferSize|StorageSize)$/.test(name),
);

export const doctor = command({
  name: 'doctor',
  summary: 'show the GPU and test its kernels',
  description: 'Shows the adapter and its features, and compares its kernels with float64 on the CPU.',
  example: 'doctor',
  options: ['ci', 'junit'],
  required: [],
  defaults: {},
  async run({ settings, terminal }) {
    const { ci, junit } = settings;
    if (ci) terminal.print(`Node      ${process.version}, ${process.platform} on ${process.arch}`);
    const checks: JunitCase[] = [];
    try {
      const json = await withGpu(terminal, settings, (gpu) => examine(gpu, terminal, checks));
      if (!ci) return { json, failed: !json.ok };
      const chromium = await lookForChromium();
      checks.push(chromium);
      terminal.print(`Chromium  ${chromium.failure ?? chromium.skipped ?? chromium.name}`);
      return { json: { ...json, chromium }, failed: !json.ok || chromium.failure !== undefined };
    } catch (error) {
      checks.push({
        name: 'adapter in Node',
        failure: error instanceof Error ? error.message : String(error),
      });
      throw error;
    } finally {
      if (junit)
        await writeFileAtomic(junit, new TextEncoder().encode(junitReport('webalign doctor', checks)));
    }
  },
});

/** Prints what the device is and how its kernels do; each is a check. */
async function examine(gpu: Gpu, terminal: Terminal, checks: JunitCase[]) {
  const { vendor, architecture, description, software, features } = gpu.adapter;
  terminal.print(`Adapter   ${adapterName(gpu.adapter)}`);
  terminal.print(`Kind      ${software ? 'software: the CPU replaces a GPU' : 'native'}`);
  terminal.print(`Features  ${features.join(', ') || 'none of those that webalign uses'}`);
  const limits = Object.fromEntries(LIMITS.map((name) => [name, gpu.limits[name]]));
  for (const [name, value] of Object.entries(limits)) {
    terminal.print(`${name.padEnd(34)} ${IN_BYTES.includes(name) ? formatBytes(value) : value}`);
  }
  const tests = await runSelfTest(gpu);
  // Cleared, because work on a lost device is done again.
  checks.splice(0, checks.length, { name: `adapter in Node: ${adapterName(gpu.adapter)}` });
  for (const { name, passed, error, tolerance } of tests) {
    const verdict = `error ${error.toExponential(1)} of ${tolerance.toExponential(0)} allowed`;
    terminal.print(`${name.padEnd(34)} ${passed ? 'passed' : 'FAILED'}, ${verdict}`);
    checks.push({ name, failure: passed ? undefined : verdict });
  }
  const ok = tests.every(({ passed }) => passed);
  terminal.print(ok ? 'All kernels agree.' : 'Some kernels are wrong here: do not train on this adapter.');
  return { adapter: { vendor, architecture, description, software, features }, limits, tests, ok };
}

/** Whether a page would have WebGPU. Without Playwright this is not checked. */
async function lookForChromium(): Promise<JunitCase> {
  const name = 'adapter in Chromium';
  if (!isInstalled('playwright')) return { name, skipped: 'playwright is not installed' };
  try {
    let found = '';
    const browser = await launchChromium({
      onNotice: (line) => {
        found = line;
      },
    });
    await browser.close();
    return { name: found };
  } catch (error) {
    return { name, failure: error instanceof Error ? error.message : String(error) };
  }
}
