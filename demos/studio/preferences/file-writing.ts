/** Judgments to files: JSON Lines, CSV and Parquet, in the columns of `file-columns.ts`. Made in memory; nothing is sent. */
import { type Cells, type Columns, FORMS, type Form } from './file-columns.ts';
import type { Judgment } from './judgment.ts';

export type FileType = 'jsonl' | 'csv' | 'parquet';

export interface ExportedFile {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** Its media type. */
  type: string;
}

interface Writer {
  type: string;
  write(columns: Columns, rows: readonly Cells[]): Promise<Uint8Array<ArrayBuffer>> | Uint8Array<ArrayBuffer>;
}

const encode = (text: string) => new TextEncoder().encode(text);

export const FILE_TYPES: Readonly<Record<FileType, Writer>> = {
  jsonl: {
    type: 'application/jsonl',
    write: (columns, rows) =>
      encode(
        rows
          .map((row) => `${JSON.stringify(row, Object.keys(columns).concat('role', 'content'))}\n`)
          .join(''),
      ),
  },
  csv: {
    type: 'text/csv',
    async write(columns, rows) {
      const { default: Papa } = await import('papaparse');
      const fields = Object.keys(columns);
      const lines = rows.map((row) => {
        const cells = new Map(Object.entries(row));
        return fields.map((name) => cellText(cells.get(name)));
      });
      return encode(`${Papa.unparse({ fields, data: lines }, { newline: '\n' })}\n`);
    },
  },
  parquet: {
    type: 'application/vnd.apache.parquet',
    write: async (columns, rows) => (await import('./parquet-writing.ts')).parquetBytes(columns, rows),
  },
};

function cellText(cell: Cells[string]): string {
  if (cell === undefined) return '';
  return typeof cell === 'string' ? cell : JSON.stringify(cell);
}

/**
 * The judgments in one form: one file, or two where chats and texts are among them, because a column has one type. No file where no
 * judgment makes a row.
 */
export async function exportFiles(
  judgments: readonly Judgment[],
  { form, type }: { form: Form; type: FileType },
): Promise<ExportedFile[]> {
  const { isByKind, columns, rows } = FORMS[form];
  const isChat = ({ prompt }: Judgment) => typeof prompt !== 'string';
  const kinds = isByKind
    ? [
        { kind: '-text', isChat: false, judgments: judgments.filter((each) => !isChat(each)) },
        { kind: '-chat', isChat: true, judgments: judgments.filter(isChat) },
      ]
    : [{ kind: '', isChat: false, judgments }];
  const parts = kinds
    .map((part) => ({ ...part, rows: rows(part.judgments) }))
    .filter((part) => part.rows.length > 0);
  const writer = FILE_TYPES[type];
  return Promise.all(
    parts.map(async (part) => ({
      name: `preferences-${form}${parts.length > 1 ? part.kind : ''}.${type}`,
      bytes: await writer.write(columns(part.isChat), part.rows),
      type: writer.type,
    })),
  );
}
