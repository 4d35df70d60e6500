/**
 * Describes the device in use, and the two ways to get one: requested with everything that the adapter offers, or provided
 * by the caller.
 */
import { formatBytes, NoAdapterError } from './errors.ts';
import { type MatrixUnit, matrixUnit, SUBGROUP_MATRIX } from './matrix-unit.ts';
import { findings } from './probes.ts';

/** Features that are used if the adapter has them. */
const WANTED_FEATURES: GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query', SUBGROUP_MATRIX];
/** Limits that are raised from their defaults to those of the adapter. */
const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/** Features whose absence is reported. An experimental one is not. */
const MISSED_FEATURES = ['shader-f16', 'subgroups', 'timestamp-query'] as const;
/** Limits that restrict tensor sizes if they have WebGPU's defaults, with these defaults in bytes. */
const DEFAULT_BYTES = { maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27 } as const;

/** Info of a device in a browser that does not reveal its adapter. */
const UNNAMED = { vendor: '', architecture: '', description: '', device: '' } as GPUAdapterInfo;

export interface AdapterReport {
  vendor: string;
  architecture: string;
  description: string;
  /** Whether the adapter is software that runs on the CPU. */
  software: boolean;
  /** Features in use: those that the adapter has and implements correctly. */
  features: string[];
  /** The matrix sizes that its subgroups multiply; only with the feature. */
  matrixUnit?: MatrixUnit | undefined;
  /** Sentences for the user: what this adapter gets wrong, and the consequence. */
  warning?: string | undefined;
  /** For a device provided by the caller: the features and raised limits that it lacks, by name. */
  lacks?: readonly string[] | undefined;
}

/** A device with its adapter report. */
export interface FoundDevice {
  device: GPUDevice;
  report: AdapterReport;
  info: GPUAdapterInfo;
}

type Notice = ((line: string) => void) | undefined;

/**
 * The descriptor that requests everything of an adapter that webalign can use:
 * `adapter.requestDevice(deviceDescriptor(adapter))` creates a device that can be shared with other software and passed to
 * `requestGpu({ device })`.
 */
export function deviceDescriptor(
  adapter: GPUAdapter,
): GPUDeviceDescriptor & { requiredFeatures: GPUFeatureName[]; requiredLimits: Record<string, number> } {
  const requiredLimits: Record<string, number> = {};
  for (const name of WANTED_LIMITS) requiredLimits[name] = adapter.limits[name];
  return { requiredFeatures: usable(adapter), requiredLimits };
}

/** Requests an adapter and a device. Throws {@link NoAdapterError}. */
export async function askedFor(
  source: GPU,
  powerPreference: GPUPowerPreference = 'high-performance',
  onNotice?: Notice,
): Promise<FoundDevice> {
  const adapter = await source.requestAdapter({ powerPreference });
  if (!adapter) {
    throw new NoAdapterError(
      'WebGPU is available but offers no adapter: update the browser or the GPU driver.',
    );
  }
  const device = await adapter.requestDevice(deviceDescriptor(adapter));
  return found(device, adapter.info, onNotice);
}

/** Uses the caller's device. Missing features and limits are reported, because they decide what can run on it. */
export async function ownDevice(device: GPUDevice, onNotice?: Notice): Promise<FoundDevice> {
  const lacking = await found(device, device.adapterInfo ?? UNNAMED, onNotice);
  const features = MISSED_FEATURES.filter((name) => !device.features.has(name));
  const limits = (Object.keys(DEFAULT_BYTES) as (keyof typeof DEFAULT_BYTES)[]).filter(
    (name) => device.limits[name] <= DEFAULT_BYTES[name],
  );
  const lacks = [...features, ...limits];
  if (lacks.length === 0) return lacking;
  onNotice?.(
    `${missing(features, limits, device)} If the adapter offers more, create the device with ` +
      'adapter.requestDevice(deviceDescriptor(adapter)); deviceDescriptor is in webalign/gpu.',
  );
  return { ...lacking, report: { ...lacking.report, lacks } };
}

/** At most two sentences: what does not run, and what is rejected. */
function missing(
  features: readonly string[],
  limits: readonly (keyof typeof DEFAULT_BYTES)[],
  device: GPUDevice,
): string {
  const sizes = limits.map((name) => `${name} ${formatBytes(device.limits[name])}`);
  const sentences = [
    features.length > 0 && `Your device has no ${features.join(', ')}: kernels that need them are not used.`,
    sizes.length > 0 && `Your device has ${sizes.join(', ')}: larger buffers are not possible.`,
  ];
  return sentences.filter(Boolean).join(' ');
}

async function found(device: GPUDevice, info: GPUAdapterInfo, onNotice: Notice): Promise<FoundDevice> {
  const { vendor, architecture, description, isFallbackAdapter } = info;
  const software =
    isFallbackAdapter ||
    /swiftshader|llvmpipe|lavapipe|warp|basic render/i.test(`${architecture} ${description}`);
  const features = usable({ features: device.features, info });
  const faults = software ? await findings(device, features) : [];
  for (const { warning } of faults) onNotice?.(warning);
  const report: AdapterReport = {
    vendor,
    architecture,
    description,
    software,
    features: features.filter((name) => !faults.some(({ feature }) => feature === name)),
    matrixUnit: matrixUnit({ features: device.features, info }),
    warning: faults.map(({ warning }) => warning).join(' ') || undefined,
  };
  return { device, report, info };
}

/** The available features that we use. */
function usable({ features, info }: Pick<GPUAdapter, 'features' | 'info'>): GPUFeatureName[] {
  const unit = matrixUnit({ features, info });
  return WANTED_FEATURES.filter((name) => features.has(name) && (name !== SUBGROUP_MATRIX || unit));
}
