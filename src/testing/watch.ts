/**
 * Hears all that goes wrong on a device while a test uses it, and knows which buffers and textures are left. The functions here
 * refer to nothing outside of themselves, because a page gets them as text, before its own scripts run.
 */

/** What went wrong on a device. */
export interface Finding {
  kind: 'shader' | 'validation' | 'out-of-memory' | 'internal' | 'lost';
  /** For `shader` with file, line, column and the line of WGSL. */
  message: string;
}

export interface Watch {
  /** Waits until the device has told all errors of what was submitted so far. */
  settle(): Promise<void>;
  /** What was found since the last call. */
  take(): Finding[];
  /** Buffers, textures and query sets that were made since the last call and neither they nor the device destroyed. */
  takeLeaks(): string[];
}

/**
 * Watches a device. An error that the code under test captures in its own error scope is not a finding. `isOurs` where the device
 * is not the test's to destroy: its end is a finding then, whatever the reason.
 */
export function watchDevice(device: GPUDevice, isOurs: boolean): Watch {
  const findings: Finding[] = [];
  const left = new Set<{ text: string }>();
  const compiled = new Set<Promise<void>>();
  /** Errors of WGSL, until the device tells that it has refused the module. */
  const broken: { first: string; message: string }[] = [];
  /** First lines of the errors of WGSL that are among the findings, which the device tells once more. */
  const shown: string[] = [];
  const told = new Set<Promise<void>>();
  const isGone = { value: false };

  const kinds: Record<string, Finding['kind']> = {
    GPUOutOfMemoryError: 'out-of-memory',
    GPUValidationError: 'validation',
  };
  const tell = async (error: GPUError) => {
    // Dawn in Node tells of a module before the call that makes it has returned.
    await Promise.resolve();
    // A shader that does not compile is the cause of what else is refused, and is told later.
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
      // Rejects on a device that is lost, which has told of that itself.
      if (!isGone.value) await device.queue.onSubmittedWorkDone().catch(() => undefined);
      // Events of errors, and of a loss, come as tasks of their own.
      await new Promise((resolve) => setTimeout(resolve, 0));
      await Promise.all([...compiled, ...told]);
    },
    take() {
      // What is left here was captured by the code under test.
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
