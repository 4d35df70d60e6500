/** A GPU whose devices misread part of a shader, for the checks of a new device. */
import { platformGpu } from './gpu.ts';

/**
 * The platform's GPU as a software adapter, since only those are checked; its devices read a certain text of a shader
 * wrongly.
 */
export async function mistaking(text: string, other: string): Promise<GPU> {
  const real = await platformGpu();
  const requestAdapter = async (options?: GPURequestAdapterOptions) => {
    const adapter = (await real.requestAdapter(options))!;
    const { features, limits } = adapter;
    const { vendor, architecture, description } = adapter.info;
    const info = { vendor, architecture, description, isFallbackAdapter: true };
    const requestDevice = async (descriptor?: GPUDeviceDescriptor) => {
      const device = await adapter.requestDevice(descriptor);
      const { createShaderModule } = device;
      device.createShaderModule = ({ code, ...rest }) =>
        createShaderModule.call(device, { ...rest, code: code.replace(text, other) });
      return device;
    };
    return { features, limits, info, requestDevice };
  };
  return { requestAdapter } as unknown as GPU;
}
