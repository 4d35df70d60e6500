/**
 * Draws the landscape with WebGPU, on request only. Depends on shapes and colors, not on their meaning.
 */
import { type Point, TRIANGLES } from './geometry.ts';
import picture from './picture.wgsl';
import type { Screen } from './screen.ts';

/** Red, green, blue, in 0 to 1. */
export type Colour = readonly [number, number, number];

export interface Stroke {
  points: readonly Point[];
  colour: Colour;
  opacity?: number;
  /** In CSS pixels. */
  width: number;
  /** CSS pixels on either side, in the color of the ground. */
  halo?: number;
  /** Length of a dash and its gap, in units of the scene; undefined: a solid line. */
  dash?: number;
  /** Whether it is a path that is drawn up to `reveal`. */
  isPath?: boolean;
}

export interface Disc {
  at: Point;
  colour: Colour;
  /** In CSS pixels. */
  radius: number;
}

export interface Look {
  low: Colour;
  middle: Colour;
  high: Colour;
  halo: Colour;
}

export interface Content {
  /** (M, 7): position, normal and J of each vertex. */
  vertices: Float32Array<ArrayBuffer>;
  strokes: readonly Stroke[];
  discs: readonly Disc[];
  look: Look;
  /** Lowest and highest J, and the step between contours. */
  range: readonly [number, number];
  contour: number;
}

const SAMPLES = 4;
const DEPTH: GPUTextureFormat = 'depth24plus';
/** Number of floats of the uniform, of a piece of a stroke, of a disc. */
const SCENE = 44;
const PIECE = 16;
const DISC = 8;

export class Scene {
  private readonly uniform: GPUBuffer;
  private readonly bindings: GPUBindGroup;
  private readonly pipelines: Record<'surface' | 'halo' | 'stroke' | 'disc', GPURenderPipeline>;
  private readonly indices: GPUBuffer;
  private readonly buffers = new Map<string, GPUBuffer>();
  /** Multisampled color, and depth. */
  private targets: GPUTexture[] = [];
  private content: Content | undefined;
  private counts = { pieces: 0, discs: 0 };

  constructor(
    private readonly device: GPUDevice,
    private readonly screen: Screen,
  ) {
    this.uniform = this.buffer('scene', SCENE * 4, GPUBufferUsage.UNIFORM);
    this.indices = this.fill('triangles', TRIANGLES, GPUBufferUsage.INDEX);
    const layout = device.createBindGroupLayout({
      entries: [{ binding: 0, visibility: GPUShaderStage.VERTEX | GPUShaderStage.FRAGMENT, buffer: {} }],
    });
    this.bindings = device.createBindGroup({
      layout,
      entries: [{ binding: 0, resource: { buffer: this.uniform } }],
    });
    const pipeline = this.pipelineMaker(device.createPipelineLayout({ bindGroupLayouts: [layout] }));
    const piece = ['float32x3', 'float32x3', 'float32x4', 'float32x4', 'float32x2'] as const;
    this.pipelines = {
      surface: pipeline('surface', 'surface', ['float32x3', 'float32x3', 'float32']),
      halo: pipeline('halo', 'stroke', piece),
      stroke: pipeline('stroke', 'stroke', piece),
      disc: pipeline('disc', 'disc', ['float32x3', 'float32x4', 'float32']),
    };
  }

  show(content: Content): void {
    this.content = content;
    this.fill('surface', content.vertices, GPUBufferUsage.VERTEX);
    const pieces = content.strokes.flatMap(piecesOf);
    const discs = content.discs.flatMap(({ at, colour, radius }) => [...at, ...colour, 1, radius]);
    this.counts = { pieces: pieces.length / PIECE, discs: discs.length / DISC };
    this.fill('pieces', new Float32Array(pieces), GPUBufferUsage.VERTEX);
    this.fill('discs', new Float32Array(discs), GPUBufferUsage.VERTEX);
  }

  /** `reveal`: the visible fraction of the paths, 0 to 1. `scale`: device pixels per CSS pixel. */
  async draw(view: Float32Array, reveal: number, scale: number): Promise<void> {
    if (!this.content) return;
    const { look, range, contour } = this.content;
    const target = this.screen.texture();
    const { width, height } = target;
    const colours = [look.low, look.middle, look.high, look.halo].flatMap((colour) => [...colour, 1]);
    const numbers = [width, height, ...range, contour, reveal, scale];
    this.device.queue.writeBuffer(this.uniform, 0, new Float32Array([...view, ...colours, ...numbers]));
    const [colour, depth] = this.resized(width, height);
    const encoder = this.device.createCommandEncoder();
    const [r, g, b] = look.halo;
    const pass = encoder.beginRenderPass({
      colorAttachments: [
        {
          view: colour.createView(),
          resolveTarget: target.createView(),
          clearValue: { r, g, b, a: 1 },
          loadOp: 'clear',
          storeOp: 'discard',
        },
      ],
      depthStencilAttachment: {
        view: depth.createView(),
        depthClearValue: 1,
        depthLoadOp: 'clear',
        depthStoreOp: 'discard',
      },
    });
    pass.setBindGroup(0, this.bindings);
    pass.setPipeline(this.pipelines.surface);
    pass.setVertexBuffer(0, this.buffers.get('surface')!);
    pass.setIndexBuffer(this.indices, 'uint32');
    pass.drawIndexed(TRIANGLES.length);
    pass.setVertexBuffer(0, this.buffers.get('pieces')!);
    for (const name of ['halo', 'stroke'] as const) {
      pass.setPipeline(this.pipelines[name]);
      pass.draw(4, this.counts.pieces);
    }
    pass.setPipeline(this.pipelines.disc);
    pass.setVertexBuffer(0, this.buffers.get('discs')!);
    pass.draw(4, this.counts.discs);
    pass.end();
    this.device.queue.submit([encoder.finish()]);
    await this.screen.show();
  }

  private pipelineMaker(layout: GPUPipelineLayout) {
    const module = this.device.createShaderModule({ label: picture.path, code: picture.code });
    const sizes: Readonly<Record<string, number>> = {
      float32: 4,
      float32x2: 8,
      float32x3: 12,
      float32x4: 16,
    };
    return (vertex: string, fragment: string, formats: readonly GPUVertexFormat[]): GPURenderPipeline => {
      let offset = 0;
      const attributes = formats.map((format, shaderLocation) => {
        const attribute = { format, shaderLocation, offset };
        offset += sizes[format];
        return attribute;
      });
      const isSurface = vertex === 'surface';
      // The pieces of a stroke overlap at their round ends and must not hide each other.
      return this.device.createRenderPipeline({
        label: vertex,
        layout,
        vertex: {
          module,
          entryPoint: `${vertex}_vertex`,
          buffers: [{ arrayStride: offset, stepMode: isSurface ? 'vertex' : 'instance', attributes }],
        },
        fragment: {
          module,
          entryPoint: `${fragment}_fragment`,
          targets: [{ format: this.screen.format, blend: BLEND }],
        },
        primitive: { topology: isSurface ? 'triangle-list' : 'triangle-strip' },
        depthStencil: { format: DEPTH, depthWriteEnabled: isSurface, depthCompare: 'less-equal' },
        multisample: { count: SAMPLES },
      });
    };
  }

  private buffer(name: string, size: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const known = this.buffers.get(name);
    if (known && known.size >= size) return known;
    known?.destroy();
    const made = this.device.createBuffer({
      label: name,
      size: Math.max(256, Math.ceil(1.5 * size)) & ~3,
      usage: usage | GPUBufferUsage.COPY_DST,
    });
    this.buffers.set(name, made);
    return made;
  }

  private fill(
    name: string,
    data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
    usage: GPUBufferUsageFlags,
  ): GPUBuffer {
    const buffer = this.buffer(name, data.byteLength, usage);
    this.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  private resized(width: number, height: number): GPUTexture[] {
    const [first] = this.targets;
    if (first?.width === width && first.height === height) return this.targets;
    for (const texture of this.targets) texture.destroy();
    this.targets = [this.screen.format, DEPTH].map((format) =>
      this.device.createTexture({
        size: [width, height],
        format,
        sampleCount: SAMPLES,
        usage: GPUTextureUsage.RENDER_ATTACHMENT,
      }),
    );
    return this.targets;
  }
}

const OVER: GPUBlendComponent = { srcFactor: 'src-alpha', dstFactor: 'one-minus-src-alpha' };
const BLEND: GPUBlendState = { color: OVER, alpha: { srcFactor: 'one', dstFactor: 'one-minus-src-alpha' } };

/** The pieces of a stroke, {@link PIECE} floats each. */
function piecesOf({ points, colour, opacity = 1, width, halo = 0, dash = 0, isPath }: Stroke): number[] {
  const lengths = points.map((point, i) =>
    i === 0 ? 0 : Math.hypot(...point.map((x, k) => x - points[i - 1][k])),
  );
  const total = lengths.reduce((a, b) => a + b, 0) || 1;
  let before = 0;
  return points.slice(1).flatMap((point, i) => {
    const length = lengths[i + 1];
    // A piece of a path is visible once its beginning is reached.
    const share = isPath ? before / total : 0;
    const piece = [...points[i], ...point, ...colour, opacity, width / 2, halo, dash, share, before, length];
    before += length;
    return piece;
  });
}

/** A color of the style sheet, `#rrggbb`, by name. */
export function colourOf(name: string): Colour {
  const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const bits = Number.parseInt(value.slice(1), 16);
  return [(bits >> 16) / 255, ((bits >> 8) & 255) / 255, (bits & 255) / 255];
}
