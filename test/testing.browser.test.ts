import { expect } from 'chai';
import { gpuPage, launchChromium, NoChromiumError } from '../src/testing.ts';

describe('webalign/testing', () => {
  it('provides a page that computes', async () => {
    const lines: string[] = [];
    const browser = await launchChromium({ onNotice: (line) => lines.push(line) });
    try {
      const page = await gpuPage(browser);
      const result = await page.evaluate(async () => {
        const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
        const buffer = device.createBuffer({
          size: 4,
          usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
        });
        const copy = device.createBuffer({
          size: 4,
          usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
        });
        device.queue.writeBuffer(buffer, 0, Float32Array.of(0.5));
        const encoder = device.createCommandEncoder();
        encoder.copyBufferToBuffer(buffer, 0, copy, 0, 4);
        device.queue.submit([encoder.finish()]);
        await copy.mapAsync(GPUMapMode.READ);
        return new Float32Array(copy.getMappedRange())[0];
      });
      expect(result).to.equal(0.5);
      expect(lines).to.have.length(1);
      expect(lines[0]).to.include('WebGPU on ');
    } finally {
      await browser.close();
    }
  });

  it('ends with close, and its server with the page', async () => {
    const browser = await launchChromium();
    const page = await gpuPage(browser);
    const url = page.url();
    expect((await fetch(url)).status).to.equal(200);
    await page.close();
    expect(await fetch(url).catch(() => 'gone')).to.equal('gone');
    await browser.close();
    expect(browser.isConnected()).to.equal(false);
  });

  it('lists the attempts if there is no browser', async () => {
    const failure = await launchChromium({ executablePath: '/nowhere/chrome' }).catch(
      (error: unknown) => error,
    );
    expect(failure).to.be.instanceOf(NoChromiumError);
    expect(String(failure)).to.include('/nowhere/chrome').and.to.include('WEBALIGN_CHROMIUM');
  });
});
