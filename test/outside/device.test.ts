/**
 * A device created outside the package, as ONNX Runtime Web or three.js create theirs: webalign computes on it, with the
 * test's own buffers, gets only its own errors, and does not destroy it.
 */
import { expect } from 'chai';
import { DPOTrainer, Gpu, generate } from 'webalign';
import { deviceDescriptor, GpuValidationError, kernels, shader, Tape } from 'webalign/gpu';
import { dpo, logitsOf, softmax } from 'webalign/logits';
import { platformGpu, requestGpuOf, storyteller } from './place.ts';

const [PAIRS, VOCABULARY] = [2, 50];
const ROWS = 8;
const TARGETS = Uint32Array.from({ length: ROWS }, (_, i) => (7 * i + 3) % VOCABULARY);
/** Three tokens and one, one and three. */
const OFFSETS = Uint32Array.of(0, 3, 4, 5, 8);

/** Rows of logits from a simple formula instead of a random generator. */
const values = (shift: number) =>
  Float32Array.from({ length: ROWS * VOCABULARY }, (_, i) => 3 * Math.sin(1.7 * i + shift));

describe('outside/device', () => {
  let device: GPUDevice;
  let events: string[];

  async function ownDevice(descriptor?: GPUDeviceDescriptor): Promise<GPUDevice> {
    const adapter = await (await platformGpu()).requestAdapter();
    if (!adapter) throw new Error('no adapter');
    return adapter.requestDevice(descriptor);
  }

  /** A buffer of the test's own with these contents. */
  function bufferOf(data: Float32Array<ArrayBuffer>, usage = 0x80 | 0x04 | 0x08): GPUBuffer {
    const buffer = device.createBuffer({ size: data.byteLength, usage }); // STORAGE | COPY_SRC | COPY_DST
    device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  /** Its contents, read without webalign. */
  async function contents(buffer: GPUBuffer): Promise<Float32Array> {
    const staging = device.createBuffer({ size: buffer.size, usage: 0x01 | 0x08 }); // MAP_READ | COPY_DST
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(1);
    return new Float32Array(staging.getMappedRange().slice(0));
  }

  /** Something that the device refuses. */
  const mistake = () => void device.createBuffer({ size: 16, usage: 0x01 | 0x80 }); // MAP_READ | STORAGE

  beforeEach(async () => {
    events = [];
    device = await ownDevice();
    device.addEventListener('uncapturederror', (event) => {
      events.push(event.error.message);
    });
  });
  afterEach(() => device.destroy());

  it('reports the missing features of the device, and requests nothing', async () => {
    const lines: string[] = [];
    const gpu = await requestGpuOf({ device, onNotice: (line) => lines.push(line) });
    expect(gpu.device).to.equal(device);
    expect(gpu.adapter.lacks).to.include('maxBufferSize');
    expect(gpu.adapter.features).to.deep.equal([]);
    expect(lines.join(' ')).to.match(
      /maxStorageBufferBindingSize 128\.0 MiB: larger buffers are not possible/,
    );
    expect(lines.join(' ')).to.include('adapter.requestDevice(deviceDescriptor(adapter))');
    gpu.dispose();
  });

  it('reports nothing missing if everything that the adapter offers was requested', async () => {
    const adapter = (await (await platformGpu()).requestAdapter())!;
    const whole = await adapter.requestDevice(deviceDescriptor(adapter));
    const gpu = await Gpu.on(whole);
    const lost = await Gpu.request(await platformGpu());
    expect(gpu.adapter.features).to.deep.equal(lost.adapter.features);
    expect(gpu.adapter.software).to.equal(lost.adapter.software);
    expect(gpu.adapter.description).to.equal(lost.adapter.description);
    for (const each of [gpu, lost]) each.dispose();
    whole.destroy();
  });

  it("computes on the test's own buffers, after earlier work", async () => {
    const gpu = await requestGpuOf({ device });
    const data = values(0);
    const tape = Tape.forInference(gpu);
    const y = softmax(tape, logitsOf(bufferOf(data), ROWS, VOCABULARY));
    const actual = await y.toArray(gpu);
    for (let row = 0; row < ROWS; row++) {
      const exponentials = [...data.subarray(row * VOCABULARY, (row + 1) * VOCABULARY)].map(Math.exp);
      const sum = exponentials.reduce((a, b) => a + b, 0);
      for (const [at, value] of exponentials.entries()) {
        // float32's seven digits, a few of them lost in the sum.
        expect(actual[row * VOCABULARY + at]).to.be.closeTo(value / sum, 1e-6);
      }
    }
    tape.dispose();
    gpu.dispose();
  });

  it("adds the gradient of a whole DPO loss to the test's own buffer, which the test reads itself", async () => {
    const gpu = await requestGpuOf({ device });
    const [policy, reference] = [bufferOf(values(0)), bufferOf(values(1))];
    const gradient = bufferOf(new Float32Array(ROWS * VOCABULARY));
    const tensor = (buffer: GPUBuffer) => logitsOf(buffer, ROWS, VOCABULARY);
    const result = dpo(
      gpu,
      { policy: tensor(policy), reference: tensor(reference), targets: TARGETS, offsets: OFFSETS },
      { gradient: tensor(gradient) },
    );
    const loss = await result.loss();
    expect(await contents(policy)).to.deep.equal(values(0));
    const [added, expected] = [await contents(gradient), derivative(values(0), values(1))];
    expect(loss).to.be.closeTo(expected.loss, 1e-6);
    for (const [i, value] of expected.gradient.entries()) expect(added[i]).to.be.closeTo(value, 1e-6);
    result.dispose();
    gpu.dispose();
    // The test's own buffers still exist.
    expect(await contents(gradient)).to.deep.equal(added);
  });

  it('trains and generates on a device with WebGPU’s default limits', async () => {
    const gpu = await requestGpuOf({ device });
    const { model, tokenizer } = await storyteller(gpu);
    const row = { prompt: 'Once upon a time', chosen: ' there was a happy dog.', rejected: ' it rained.' };
    const trainer = new DPOTrainer({
      model,
      processingClass: tokenizer,
      args: { maxSteps: 2, perDeviceTrainBatchSize: 2 },
      peftConfig: { r: 4 },
      trainDataset: [1, 2].map((n) => ({ ...row, where: `row ${n}` })),
    });
    const losses: number[] = [];
    for await (const event of trainer.train()) if (event.type === 'step') losses.push(event.metrics.loss);
    expect(losses[0]).to.be.closeTo(Math.LN2, 1e-6);
    const [written] = await generate(model, [tokenizer.encode('One day')], { maxNewTokens: 4, seed: 1 });
    expect(written?.ids.length).to.equal(4);
    trainer.dispose();
    model.dispose();
    gpu.dispose();
    expect(events).to.deep.equal([]);
  });

  it("leaves others' errors to their handlers", async () => {
    const gpu = await requestGpuOf({ device });
    mistake();
    const view = gpu.upload(Float32Array.of(1, 2), 'two numbers');
    expect(new Float32Array(await gpu.read(view))).to.deep.equal(Float32Array.of(1, 2));
    gpu.check();
    await device.queue.onSubmittedWorkDone();
    expect(events.length).to.equal(1);
    gpu.dispose();
  });

  it('throws its own errors where they are awaited, and reports them to nobody else', async () => {
    const gpu = await requestGpuOf({ device });
    const { double } = kernels(
      shader(
        'double.wgsl',
        `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
        @compute @workgroup_size(1) fn double() { x[0] *= 2; }`,
      ),
      { double: { groups: () => 1 } },
    );
    const view = gpu.pool.allocate(512, 'x');
    // Bindings must begin at multiples of 256 bytes: the device refuses this one.
    double(gpu, { x: { ...view, offset: 4, size: 8 } });
    const error = await gpu.read(view).then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).to.be.instanceOf(GpuValidationError);
    await device.queue.onSubmittedWorkDone();
    expect(events).to.deep.equal([]);
    gpu.dispose();
  });

  it('does not destroy the device when it is disposed, and frees its memory', async () => {
    const gpu = await requestGpuOf({ device });
    const view = gpu.upload(new Float32Array(1000), 'left behind');
    const reading = gpu.read(view).catch((reason) => reason);
    gpu.dispose();
    expect(String(await reading)).to.match(/disposed|[0-9]/);
    expect(gpu.memory().reserved).to.equal(0);
    // A destroyed buffer is refused; the device itself still works, for the test and for another Gpu.
    device.queue.writeBuffer(view.buffer, 0, new Float32Array(1));
    await device.queue.onSubmittedWorkDone();
    expect(events.join(' ')).to.match(/destroyed/i);
    expect(await contents(bufferOf(Float32Array.of(5, 6, 7, 8)))).to.deep.equal(Float32Array.of(5, 6, 7, 8));
    const next = await requestGpuOf({ device });
    const again = next.upload(Float32Array.of(9), 'nine');
    expect(new Float32Array(await next.read(again))[0]).to.equal(9);
    next.dispose();
  });

  it('rejects a buffer that kernels cannot bind', async () => {
    const gpu = await requestGpuOf({ device });
    const buffer = bufferOf(values(0), 0x08); // COPY_DST alone
    expect(() => logitsOf(buffer, ROWS, VOCABULARY)).to.throw(RangeError, 'GPUBufferUsage.STORAGE');
    gpu.dispose();
  });
});

/** DPO's mean loss with β 0.1 and its gradient to the policy's logits, in float64. */
function derivative(policy: Float32Array, reference: Float32Array) {
  const scores = (logits: Float32Array) =>
    Array.from({ length: ROWS }, (_, row) => {
      const own = [...logits.subarray(row * VOCABULARY, (row + 1) * VOCABULARY)];
      const sum = own.reduce((total, value) => total + Math.exp(value), 0);
      const target = TARGETS[row];
      return {
        logp: own[target] - Math.log(sum),
        shares: own.map((value) => Math.exp(value) / sum),
      };
    });
  const [ours, theirs] = [scores(policy), scores(reference)];
  const ratio = (sequence: number) => {
    let sum = 0;
    for (let row = OFFSETS[sequence]; row < OFFSETS[sequence + 1]; row++)
      sum += ours[row].logp - theirs[row].logp;
    return sum;
  };
  let loss = 0;
  const gradient = new Float64Array(ROWS * VOCABULARY);
  for (let pair = 0; pair < PAIRS; pair++) {
    const margin = 0.1 * (ratio(2 * pair) - ratio(2 * pair + 1));
    loss += Math.log1p(Math.exp(-margin)) / PAIRS;
    const slope = -0.1 / (1 + Math.exp(margin)) / PAIRS;
    for (const side of [0, 1]) {
      const sign = side === 0 ? 1 : -1;
      for (let row = OFFSETS[2 * pair + side]; row < OFFSETS[2 * pair + side + 1]; row++) {
        ours[row].shares.forEach((share, v) => {
          gradient[row * VOCABULARY + v] = sign * slope * ((v === TARGETS[row] ? 1 : 0) - share);
        });
      }
    }
  }
  return { loss, gradient };
}
