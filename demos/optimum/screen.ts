/**
 * The destination of the picture: the canvas itself or, with a software adapter, a texture whose pixels are copied to it.
 * Browsers without a GPU may support WebGPU and yet lose the device when a canvas shows its output.
 */

export interface Screen {
  readonly format: GPUTextureFormat;
  /** The next texture to draw on, with the canvas's size. */
  texture(): GPUTexture;
  /** Shows the submitted picture. */
  show(): Promise<void>;
}

export function screenFor(device: GPUDevice, canvas: HTMLCanvasElement, software: boolean): Screen {
  return software ? copied(device, canvas) : direct(device, canvas);
}

function direct(device: GPUDevice, canvas: HTMLCanvasElement): Screen {
  const format = navigator.gpu.getPreferredCanvasFormat();
  const context = canvas.getContext('webgpu')!;
  context.configure({ device, format, alphaMode: 'opaque' });
  return { format, texture: () => context.getCurrentTexture(), show: async () => undefined };
}

function copied(device: GPUDevice, canvas: HTMLCanvasElement): Screen {
  const format: GPUTextureFormat = 'rgba8unorm';
  const context = canvas.getContext('2d', { alpha: false })!;
  let texture: GPUTexture | undefined;
  return {
    format,
    texture() {
      const { width, height } = canvas;
      if (texture?.width === width && texture.height === height) return texture;
      texture?.destroy();
      const usage = GPUTextureUsage.RENDER_ATTACHMENT | GPUTextureUsage.COPY_SRC;
      texture = device.createTexture({ size: [width, height], format, usage });
      return texture;
    },
    async show() {
      if (!texture) return;
      const { width, height } = texture;
      // Rows of a copy must be aligned to 256 bytes.
      const bytesPerRow = Math.ceil((4 * width) / 256) * 256;
      const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
      const buffer = device.createBuffer({ size: bytesPerRow * height, usage });
      const encoder = device.createCommandEncoder();
      encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow }, [width, height]);
      device.queue.submit([encoder.finish()]);
      await buffer.mapAsync(GPUMapMode.READ);
      const bytes = new Uint8Array(buffer.getMappedRange());
      const image = context.createImageData(width, height);
      for (let y = 0; y < height; y++) {
        image.data.set(bytes.subarray(y * bytesPerRow, y * bytesPerRow + 4 * width), 4 * width * y);
      }
      context.putImageData(image, 0, 0);
      buffer.destroy();
    },
  };
}
