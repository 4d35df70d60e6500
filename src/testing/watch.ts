/**
 * Records all errors on a device while a test uses it, and its remaining buffers and textures. The functions have no
 * outside references, because pages get them as text, before their own scripts run.
 */

/** An error on a device. */
export interface Finding {
  kind: 'shader' | 'validation' | 'out-of-memory' | 'internal' | 'lost';
  /** For `shader`, with file, line, column and the line of WGSL. */
  message: string;
}

export interface Watch {
  /** Waits until the device has reported all errors of submitted work. */
  settle(): Promise<void>;
  /** The findings since the last call. */
  take(): Finding[];
  /** Buffers, textures and query sets that were created since the last call and not destroyed, directly or with the device. */
  takeLeaks(): string[];
}

/**
 * Watches a device. An error that the code under test captures in its own error scope is not a finding. `isOurs`: the test
 * must not destroy the device, so its loss is a finding, whatever the reason.
 */
export function watchDevice(device: GPUDevice, isOurs: boolean): Watch {
  const findings: Finding[] = [];
  const left = new Set<{ text: string }>();
  const compiled = new Set<Promise<void>>();
  /** WGSL errors, until the device reports that it rejected the module. */
  const broken: { first: string; message: string }[] = [];
  /** First lines of WGSL errors that are already findings; the device reports them again. */
  const shown: string[] = [];
  const told = new Set<Promise<void>>();
  const isGone = { value: false };

  const kinds: Record<string, Finding['kind']> = {
    GPUOutOfMemoryError: 'out-of-memory',
    GPUValidationError: 'validation',
  };
  const tell = async (error: GPUError) => {
    // Dawn in Node reports a module before the call that creates it has returned.
    await Promise.resolve();
    // A shader that does not compile causes other errors, and is reported later.
    await Promise.all(compiled);
    const causes = broken.splice(0);
    findings.unshift(...causes.map(({ message }): Finding => ({ kind: 'shader', message })));
    shown.push(...causes.map(({ first }) => first));
    if (shown.some((first) => error.message.includes(first))) return;
    findings.push({ kind: kinds[error.constructor.name] ?? 'internal', message: error.message });
  };
  device.addEventListener('uncapturederror', ({ error }) => {
    const telling: Promise<void> = tell(error).finally(() => told.delete(telling));
    told.add(telling);
  });
  device.lost.then(({ reason, message }) => {
    isGone.value = true;
    left.clear();
    if (isOurs || reason !== 'destroyed')
      findings.push({
        kind: 'lost',
        message: `The GPU device was lost (${reason || 'unknown'}): ${message}`,
      });
  });

  const createShaderModule = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    const module = createShaderModule(descriptor);
    const source = descriptor.code.split('\n');
    const look: Promise<void> = module
      .getCompilationInfo()
      .then(({ messages }) => {
        for (const { type, lineNum, linePos, message } of messages) {
          if (type !== 'error') continue;
          const [first = '', ...rest] = message.trim().split('\n');
          const place = `${descriptor.label || 'WGSL'}:${lineNum}:${linePos}`;
          const text = `    ${(source[lineNum - 1] ?? '').trim()}`;
          broken.push({ first, message: [`${place}: ${first}`, text, ...rest].join('\n') });
        }
      })
      .catch(() => undefined)
      .finally(() => compiled.delete(look));
    compiled.add(look);
    return module;
  };
  const makers = ['createBuffer', 'createTexture', 'createQuerySet'] as const;
  for (const name of makers) {
    const make = device[name].bind(device) as (descriptor: object) => GPUBuffer | GPUTexture | GPUQuerySet;
    const counted = (descriptor: { label?: string; size?: unknown; count?: number }) => {
      const made = make(descriptor);
      const size = JSON.stringify(descriptor.size ?? descriptor.count);
      const label = descriptor.label ? `"${descriptor.label}" ` : '';
      const entry = { text: `${name.slice(6).toLowerCase()} ${label}of size ${size}` };
      left.add(entry);
      const destroy = made.destroy.bind(made);
      const counting = () => {
        left.delete(entry);
        return destroy();
      };
      Object.defineProperty(made, 'destroy', { value: counting, configurable: true });
      return made;
    };
    Object.defineProperty(device, name, { value: counted, configurable: true });
  }
  return {
    async settle() {
      // Rejects on a lost device, which has already reported the loss.
      if (!isGone.value) await device.queue.onSubmittedWorkDone().catch(() => undefined);
      // Error and loss events arrive as separate tasks.
      await new Promise((resolve) => setTimeout(resolve, 0));
      await Promise.all([...compiled, ...told]);
    },
    take() {
      // The remaining errors were captured by the code under test.
      broken.length = 0;
      shown.length = 0;
      return findings.splice(0);
    },
    takeLeaks() {
      const labels = [...left].map(({ text }) => text);
      left.clear();
      return labels;
    },
  };
}
