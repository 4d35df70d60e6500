/**
 * Restricts an adapter to WebGPU's default limits, or to some features, to test code as on a weaker GPU. The function has
 * no outside references, because pages get it as text, before their own scripts run.
 */

/** Capabilities of a test's device. */
export interface Capabilities {
  /** `default`: the limits that WebGPU guarantees everywhere. Default: those of the adapter. */
  limits?: 'default' | undefined;
  /** Optional features, such as `shader-f16`; `[]` for none. Default: those of the adapter. */
  features?: readonly string[] | undefined;
}

/**
 * Modifies the adapter so that it shows and offers at most the capabilities. `requestDevice` rejects a request for more,
 * like an adapter without them.
 */
export function narrowAdapter(adapter: GPUAdapter, { limits, features }: Capabilities): GPUAdapter {
  // https://www.w3.org/TR/webgpu/#limits: the default limits for compute.
  const defaults: Record<string, number> = {
    maxBindGroups: 4,
    maxBindingsPerBindGroup: 1000,
    maxDynamicUniformBuffersPerPipelineLayout: 8,
    maxDynamicStorageBuffersPerPipelineLayout: 4,
    maxStorageBuffersPerShaderStage: 8,
    maxUniformBuffersPerShaderStage: 12,
    maxUniformBufferBindingSize: 65536,
    maxStorageBufferBindingSize: 134217728,
    maxBufferSize: 268435456,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupSizeY: 256,
    maxComputeWorkgroupSizeZ: 64,
    maxComputeWorkgroupsPerDimension: 65535,
  };
  const requestDevice = adapter.requestDevice.bind(adapter);
  if (limits === 'default') {
    const real = adapter.limits;
    const shown = new Proxy(real, {
      get: (_, name) =>
        Object.hasOwn(defaults, name) ? defaults[name as string] : Reflect.get(real, name, real),
    });
    Object.defineProperty(adapter, 'limits', { value: shown, configurable: true });
  }
  if (features) {
    const shown = new Set([...adapter.features].filter((name) => features.includes(name)));
    Object.defineProperty(adapter, 'features', { value: shown, configurable: true });
  }
  const narrowed = async (descriptor: GPUDeviceDescriptor = {}): Promise<GPUDevice> => {
    for (const name of features ? (descriptor.requiredFeatures ?? []) : [])
      if (!adapter.features.has(name)) throw new TypeError(`The test does not allow the feature ${name}.`);
    for (const [name, value] of Object.entries(limits ? (descriptor.requiredLimits ?? {}) : {}))
      if (Object.hasOwn(defaults, name) && Number(value) > defaults[name])
        throw new DOMException(
          `The test allows ${name} up to ${defaults[name]}, not ${value}.`,
          'OperationError',
        );
    return requestDevice(descriptor);
  };
  Object.defineProperty(adapter, 'requestDevice', { value: narrowed, configurable: true });
  return adapter;
}
