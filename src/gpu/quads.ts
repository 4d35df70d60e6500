/**
 * Tries, once for a device, the exchange between threads that kernels by quads rely on. Runs a dispatch of its own and
 * leaves nothing behind, also where the device refuses the shader.
 */
import shader from '../../shaders/device/quads.wgsl';

/** What the four threads, which hold 10 to 13, must receive: from the one beside, the one below, threads 1 and 2. */
const RECEIVED = [0, 1, 2, 3].flatMap((part) => [10 + (part ^ 1), 10 + (part ^ 2), 11, 12]);
const BYTES = 4 * RECEIVED.length;

/** Whether the threads of a quad receive each other's numbers on this device, which has the feature `subgroups`. */
export async function quadsExchange(device: GPUDevice): Promise<boolean> {
  const received = device.createBuffer({ size: BYTES, usage: 0x80 | 0x04, label: 'quads' }); // STORAGE | COPY_SRC
  const staging = device.createBuffer({ size: BYTES, usage: 0x01 | 0x08, label: 'quads' }); // MAP_READ | COPY_DST
  try {
    const pipeline = await pipelineOf(device);
    if (!pipeline) return false;
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const entries = [{ binding: 0, resource: { buffer: received } }];
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(received, 0, staging, 0, BYTES);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(1);
    const found = new Uint32Array(staging.getMappedRange());
    return RECEIVED.every((number, i) => found[i] === number);
  } finally {
    received.destroy();
    staging.destroy();
  }
}

/** Undefined where the device does not compile it. */
async function pipelineOf(device: GPUDevice): Promise<GPUComputePipeline | undefined> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code: shader.code, label: shader.path });
  const compute = { module, entryPoint: 'exchange' };
  const made = device.createComputePipelineAsync({ layout: 'auto', compute }).catch(() => undefined);
  const error = await device.popErrorScope();
  return error ? undefined : made;
}
