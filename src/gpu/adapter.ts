/**
 * What is known of the device that work runs on, and the two ways to one: asked for with all that the adapter offers, or the
 * caller's own as it is.
 */
import { formatBytes, NoAdapterError } from './errors.ts';
import { type MatrixUnit, matrixUnit, SUBGROUP_MATRIX } from './matrix-unit.ts';
import { findings } from './probes.ts';

/** Features used where the adapter has them. */
const WANTED_FEATURES: GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query', SUBGROUP_MATRIX];
/** Limits raised from their defaults to what the adapter offers. */
const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/** Features whose absence is told, each with what does not run then. An experimental one is not missed. */
const MISSED_FEATURES = ['shader-f16', 'subgroups', 'timestamp-query'] as const;
/** Limits that refuse tensors where they are WebGPU's defaults, with these, in bytes. */
const DEFAULT_BYTES = { maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27 } as const;

/** Of a device in a browser that does not say which adapter it belongs to. */
const UNNAMED = { vendor: '', architecture: '', description: '', device: '' } as GPUAdapterInfo;

export interface AdapterReport {
  vendor: string;
  architecture: string;
  description: string;
  /** True where the CPU stands in for a GPU. */
  software: boolean;
  /** Features that are used: what the adapter has of them, and does as it should. */
  features: string[];
  /** The matrices that its subgroups multiply; there with the feature alone. */
  matrixUnit?: MatrixUnit | undefined;
  /** Sentences for the user: what this adapter gets wrong, and the consequence. */
  warning?: string | undefined;
  /** On a device of the caller's own: the features it was made without and the limits left at their defaults, by name. */
  lacks?: readonly string[] | undefined;
}

/** A device with what is known of it. */
export interface FoundDevice {
  device: GPUDevice;
  report: AdapterReport;
  info: GPUAdapterInfo;
}

type Notice = ((line: string) => void) | undefined;

/**
 * What to request of an adapter so that webalign can use all that it offers: `adapter.requestDevice(deviceDescriptor(adapter))`
 * makes a device to share with other software, which then goes into `requestGpu({ device })`.
 */
export function deviceDescriptor(
  adapter: GPUAdapter,
): GPUDeviceDescriptor & { requiredFeatures: GPUFeatureName[]; requiredLimits: Record<string, number> } {
  const requiredLimits: Record<string, number> = {};
  for (const name of WANTED_LIMITS) requiredLimits[name] = adapter.limits[name];
  return { requiredFeatures: usable(adapter), requiredLimits };
}

/** Asks for an adapter and a device. Throws {@link NoAdapterError}. */
export async function askedFor(
  source: GPU,
  powerPreference: GPUPowerPreference = 'high-performance',
  onNotice?: Notice,
): Promise<FoundDevice> {
  const adapter = await source.requestAdapter({ powerPreference });
  if (!adapter) {
    throw new NoAdapterError('WebGPU is here but offers no adapter: update the browser or the GPU driver.');
  }
  const device = await adapter.requestDevice(deviceDescriptor(adapter));
  return found(device, adapter.info, onNotice);
}

/** The caller's own device. What it was made without is told, because that decides what runs on it. */
export async function ownDevice(device: GPUDevice, onNotice?: Notice): Promise<FoundDevice> {
  const lacking = await found(device, device.adapterInfo ?? UNNAMED, onNotice);
  const features = MISSED_FEATURES.filter((name) => !device.features.has(name));
  const limits = (Object.keys(DEFAULT_BYTES) as (keyof typeof DEFAULT_BYTES)[]).filter(
    (name) => device.limits[name] <= DEFAULT_BYTES[name],
  );
  const lacks = [...features, ...limits];
  if (lacks.length === 0) return lacking;
  onNotice?.(
    `${missing(features, limits, device)} If the adapter offers more, make the device with ` +
      'adapter.requestDevice(deviceDescriptor(adapter)); deviceDescriptor is in webalign/gpu.',
  );
  return { ...lacking, report: { ...lacking.report, lacks } };
}

/** Two sentences at most: what does not run, and what is refused. */
function missing(
  features: readonly string[],
  limits: readonly (keyof typeof DEFAULT_BYTES)[],
  device: GPUDevice,
): string {
  const sizes = limits.map((name) => `${name} ${formatBytes(device.limits[name])}`);
  const sentences = [
    features.length > 0 && `Your device has no ${features.join(', ')}: kernels that need them do not run.`,
    sizes.length > 0 && `Your device has ${sizes.join(', ')}: larger buffers are refused.`,
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

/** The features that we use, of those that are there. */
function usable({ features, info }: Pick<GPUAdapter, 'features' | 'info'>): GPUFeatureName[] {
  const unit = matrixUnit({ features, info });
  return WANTED_FEATURES.filter((name) => features.has(name) && (name !== SUBGROUP_MATRIX || unit));
}
