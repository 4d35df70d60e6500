/**
 * Runs one small shader on a new device, to see whether the device implements WebGPU correctly. Leaves no buffer and no error
 * behind, even if the device refuses the shader.
 */
import type { Shader } from './shader.ts';

/** A shader with one binding, an array of u32, and its initial contents. One workgroup runs. */
export interface Trial {
  shader: Shader;
  entry: string;
  words: Uint32Array<ArrayBuffer>;
}

/** The contents of the array after the run; undefined if the shader does not compile. */
export async function wordsAfter(
  device: GPUDevice,
  { shader, entry, words }: Trial,
): Promise<Uint32Array | undefined> {
  const size = words.byteLength;
  const label = shader.path;
  const buffer = device.createBuffer({ size, usage: 0x80 | 0x08 | 0x04, label }); // STORAGE | COPY_DST | COPY_SRC
  const staging = device.createBuffer({ size, usage: 0x01 | 0x08, label }); // MAP_READ | COPY_DST
  try {
    const pipeline = await pipelineOf(device, shader, entry);
    if (!pipeline) return undefined;
    device.queue.writeBuffer(buffer, 0, words);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const entries = [{ binding: 0, resource: { buffer } }];
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(1);
    return new Uint32Array(staging.getMappedRange().slice(0));
  } finally {
    buffer.destroy();
    staging.destroy();
  }
}

async function pipelineOf(
  device: GPUDevice,
  { code, path }: Shader,
  entryPoint: string,
): Promise<GPUComputePipeline | undefined> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code, label: path });
  const made = device
    .createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint } })
    .catch(() => undefined);
  const error = await device.popErrorScope();
  return error ? undefined : made;
}
