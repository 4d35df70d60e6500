/** A file that is written piece by piece, so that it never needs to be in memory as a whole. */

export interface StreamedFile {
  /** Its size, known before the first piece. */
  bytes: number;
  /** Each call produces the pieces again. */
  pieces(): AsyncGenerator<Uint8Array, void>;
}

/** The whole file. */
export async function wholeFile({ bytes, pieces }: StreamedFile): Promise<Uint8Array<ArrayBuffer>> {
  const file = new Uint8Array(bytes);
  let at = 0;
  for await (const piece of pieces()) {
    file.set(piece, at);
    at += piece.byteLength;
  }
  return file;
}

/** A file that already exists in memory. */
export const streamOf = (file: Uint8Array): StreamedFile => ({
  bytes: file.byteLength,
  async *pieces() {
    yield file;
  },
});
