/**
 * An adapter that offers less than it has: WebGPU's default limits, or some of its features, so that code is tried as on a weaker
 * GPU. The function refers to nothing outside of itself, because a page gets it as text, before its own scripts run.
 */

/** What a device of a test may have. */
export interface Capabilities {
  /** `default`: the limits that WebGPU guarantees everywhere. By default those of the adapter. */
  limits?: 'default' | undefined;
  /** Features beside WebGPU's core, such as `shader-f16`; `[]` for none. By default those of the adapter. */
  features?: readonly string[] | undefined;
}

/**
 * The adapter itself, which from now on shows and gives at most the capabilities. `requestDevice` rejects a request for more, as
 * an adapter without them does.
 */
export function narrowAdapter(adapter: GPUAdapter, { limits, features }: Capabilities): GPUAdapter {
  // https://www.w3.org/TR/webgpu/#limits: the defaults of those that compute needs.
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
      if (!adapter.features.has(name)) throw new TypeError(`The test allows no feature ${name}.`);
    for (const [name, value] of Object.entries(limits ? (descriptor.requiredLimits ?? {}) : {}))
      if (Object.hasOwn(defaults, name) && Number(value) > (defaults[name] as number))
        throw new DOMException(
          `The test allows ${name} up to ${defaults[name]}, not ${value}.`,
          'OperationError',
        );
    return requestDevice(descriptor);
  };
  Object.defineProperty(adapter, 'requestDevice', { value: narrowed, configurable: true });
  return adapter;
}
