/** A file that is written piece by piece, so that it need never be whole in memory. */

export interface StreamedFile {
  /** Its size, known before the first piece. */
  bytes: number;
  /** Each call makes the pieces anew. */
  pieces(): AsyncGenerator<Uint8Array, void>;
}

/** The whole of it. */
export async function wholeFile({ bytes, pieces }: StreamedFile): Promise<Uint8Array<ArrayBuffer>> {
  const file = new Uint8Array(bytes);
  let at = 0;
  for await (const piece of pieces()) {
    file.set(piece, at);
    at += piece.byteLength;
  }
  return file;
}

/** A file that is there already. */
export const streamOf = (file: Uint8Array): StreamedFile => ({
  bytes: file.byteLength,
  async *pieces() {
    yield file;
  },
});
