/**
 * `webalign/testing`: WebGPU in a headless browser, for tests, on any machine with Node. If there is no GPU and no browser,
 * both come from an npm package, so a bare CI container is enough (Linux on x64; elsewhere an installed Chrome, Chromium or
 * Edge). Only runs in Node, and needs nothing else of webalign.
 *
 * ```js
 * import { gpuPage, launchChromium } from 'webalign/testing';
 *
 * const browser = await launchChromium({ onNotice: console.log });
 * const page = await gpuPage(browser);
 * const doubled = await page.evaluate(async () => {
 *   const device = await (await navigator.gpu.requestAdapter()).requestDevice();
 *   const code = `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
 *     @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { x[i] = 2 * f32(i); }`;
 *   const module = device.createShaderModule({ code });
 *   const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
 *   const buffer = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
 *   const result = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
 *   const layout = pipeline.getBindGroupLayout(0);
 *   const bindGroup = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] });
 *   const encoder = device.createCommandEncoder();
 *   const pass = encoder.beginComputePass();
 *   pass.setPipeline(pipeline);
 *   pass.setBindGroup(0, bindGroup);
 *   pass.dispatchWorkgroups(1);
 *   pass.end();
 *   encoder.copyBufferToBuffer(buffer, 0, result, 0, 16);
 *   device.queue.submit([encoder.finish()]);
 *   await result.mapAsync(GPUMapMode.READ);
 *   return [...new Float32Array(result.getMappedRange())];
 * });
 * console.log(doubled); // [0, 2, 4, 6]
 * await browser.close();
 * ```
 *
 * Browsers, in order of preference: `WEBALIGN_CHROMIUM` (a path), Playwright's own, an installed Chrome, Chromium or Edge,
 * the one from npm. The adapter: the machine's GPU, otherwise SwiftShader; `WEBALIGN_ADAPTER=native|software` selects one.
 * The browser ends with `browser.close()`, or with this process, however that ends.
 *
 * @module webalign/testing
 */
import type { Browser, Page } from 'playwright';
import { serve } from './node/serve.ts';

export { type ChromiumOptions, launchChromium, NoChromiumError } from './node/chromium.ts';
export { MissingPackageError } from './node/packages.ts';
export { type Server, serve } from './node/serve.ts';

export interface PageOptions {
  /** A folder whose files the page can load, or several by path prefix; default: an empty page. */
  serve?: string | Record<string, string>;
  /** The path to open; default: `/`. */
  path?: string;
}

/** A page with `navigator.gpu`: a secure context, served only to this machine until the page is closed. */
export async function gpuPage(browser: Browser, options: PageOptions = {}): Promise<Page> {
  const folders = typeof options.serve === 'string' ? { '/': options.serve } : options.serve;
  const server = await serve(folders ?? {});
  const page = await browser.newPage();
  page.once('close', () => void server.close());
  await page.goto(`${server.url}${options.path ?? '/'}`);
  return page;
}
