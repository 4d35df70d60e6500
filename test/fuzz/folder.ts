/**
 * An input of the fuzzer: a folder of a few small files, in memory, and the form in which it is stored in `corpus/`: text
 * if it is text, base64 otherwise.
 */
export type Folder = Record<string, Uint8Array<ArrayBuffer>>;

/** A file as JSON: its text, its bytes in base64, or pieces of text that are each repeated, for long monotonous files. */
export type KeptFile = string | { base64: string } | [text: string, times: number][];
export type KeptFolder = Record<string, KeptFile>;

export function textBytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

export function jsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return textBytes(JSON.stringify(value));
}

export function base64Bytes(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

export function keep(folder: Folder): KeptFolder {
  return mapFiles(folder, (bytes) => {
    const text = textOf(bytes);
    if (text !== undefined) return text;
    return { base64: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')) };
  });
}

export function unkeep(kept: KeptFolder): Folder {
  return mapFiles(kept, (file) => {
    if (typeof file === 'string') return textBytes(file);
    if (Array.isArray(file)) return textBytes(file.map(([text, times]) => text.repeat(times)).join(''));
    return base64Bytes(file.base64);
  });
}

/** The bytes as text; undefined if they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export function folderSize(folder: Folder): number {
  return Object.values(folder).reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function mapFiles<A, B>(folder: Record<string, A>, change: (file: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(folder).map(([name, file]) => [name, change(file)]));
}
