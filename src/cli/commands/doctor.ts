/**
 * `webalign doctor`: this machine's adapter, and whether its kernels compute correct results.
 */
import { formatBytes } from '../../gpu/errors.ts';
import { command } from '../command.ts';
import { adapterName, withGpu } from '../open.ts';
import { runSelfTest } from '../self-test.ts';

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
  options: [],
  required: [],
  defaults: {},
  run: ({ settings, terminal }) =>
    withGpu(terminal, settings, async (gpu) => {
      const { vendor, architecture, description, software, features } = gpu.adapter;
      terminal.print(`Adapter   ${adapterName(gpu.adapter)}`);
      terminal.print(`Kind      ${software ? 'software: the CPU replaces a GPU' : 'native'}`);
      terminal.print(`Features  ${features.join(', ') || 'none of those that webalign uses'}`);
      const limits = Object.fromEntries(LIMITS.map((name) => [name, gpu.limits[name]]));
      for (const [name, value] of Object.entries(limits)) {
        terminal.print(`${name.padEnd(34)} ${IN_BYTES.includes(name) ? formatBytes(value) : value}`);
      }
      const tests = await runSelfTest(gpu);
      for (const { name, passed, error, tolerance } of tests) {
        const verdict = passed ? 'passed' : 'FAILED';
        terminal.print(
          `${name.padEnd(34)} ${verdict}, error ${error.toExponential(1)} of ${tolerance.toExponential(0)} allowed`,
        );
      }
      const ok = tests.every(({ passed }) => passed);
      terminal.print(
        ok ? 'All kernels agree.' : 'Some kernels are wrong here: do not train on this adapter.',
      );
      return {
        json: { adapter: { vendor, architecture, description, software, features }, limits, tests, ok },
        failed: !ok,
      };
    }),
});
