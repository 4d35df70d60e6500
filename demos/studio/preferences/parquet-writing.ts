/** Rows to Parquet by hyparquet-writer. Turns are a list of structs, which `datasets` and pandas read as messages. */
import type { SchemaElement } from 'hyparquet';
import { ByteWriter, parquetWrite } from 'hyparquet-writer';
import type { Cells, Columns, ColumnType } from './file-columns.ts';

const text = (name: string): SchemaElement => ({
  name,
  type: 'BYTE_ARRAY',
  converted_type: 'UTF8',
  logical_type: { type: 'STRING' },
  repetition_type: 'OPTIONAL',
});

const turns = (name: string): SchemaElement[] => [
  {
    name,
    repetition_type: 'OPTIONAL',
    num_children: 1,
    converted_type: 'LIST',
    logical_type: { type: 'LIST' },
  },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', repetition_type: 'OPTIONAL', num_children: 2 },
  text('role'),
  text('content'),
];

/** A column of either type; sides are turns where the rows are chats. */
const SCHEMAS: Readonly<Record<ColumnType, (name: string, isChat: boolean) => SchemaElement[]>> = {
  text: (name) => [text(name)],
  flag: (name) => [{ name, type: 'BOOLEAN', repetition_type: 'OPTIONAL' }],
  side: (name, isChat) => (isChat ? turns(name) : [text(name)]),
};

/** The file; `rows` holds at least one. */
export function parquetBytes(columns: Columns, rows: readonly Cells[]): Uint8Array<ArrayBuffer> {
  const entries = Object.entries(columns);
  const cells = rows.map((row) => new Map(Object.entries(row)));
  const isChat = cells.some((row) => Array.isArray(row.get('prompt') ?? row.get('messages')));
  const schema = entries.flatMap(([name, type]) => SCHEMAS[type](name, isChat));
  const writer = new ByteWriter();
  parquetWrite({
    writer,
    schema: [{ name: 'schema', num_children: entries.length }, ...schema],
    columnData: entries.map(([name]) => ({ name, data: cells.map((row) => row.get(name) ?? null) })),
    // Bounds of texts help nobody who reads all rows.
    statistics: false,
    createdBy: 'webalign studio',
  });
  return writer.getBytes();
}
